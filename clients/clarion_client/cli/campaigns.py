"""`clarion campaigns`: look at campaigns and move them through their states."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from rich.text import Text

from clarion.v1.campaign_pb2 import Campaign
from clarion_client import Clarion, short_name
from clarion_client.cli import preview_views, views
from clarion_client.cli.arguments import (
    CampaignArgument,
    ContextOption,
    LimitOption,
    LocaleOption,
    UserIdOption,
    parse_context,
)
from clarion_client.cli.output import as_dict
from clarion_client.cli.recipients import DevicesOption, PhoneOption, ToOption, WebhookOption, recipient_of
from clarion_client.cli.session import Session, command

app = typer.Typer(no_args_is_help=True, help="Look at campaigns and move them through their states.")

_CHANNEL_HELP = "This channel alone: email, sms, push or webhook."
EtagOption = Annotated[str, typer.Option(metavar="ETAG", help="Only if the campaign is still the one with this etag.")]


@command(app, "list")
async def list_(session: Session, limit: LimitOption = 0) -> None:
    """List the campaigns of the workspace."""
    found = session.clarion.list_campaigns()
    await session.out.messages(found, views.campaign_list, limit=limit, nothing="no campaigns")


@command(app)
async def get(session: Session, campaign: CampaignArgument) -> None:
    """Show one campaign and what became of its deliveries."""
    session.out.message(await session.clarion.get_campaign(campaign), views.campaign)


@command(app)
async def activate(session: Session, campaign: CampaignArgument, etag: EtagOption = "") -> None:
    """DRAFT to LIVE: it accepts triggers from now on."""
    await _move(session, Clarion.activate_campaign, campaign, etag)


@command(app)
async def pause(session: Session, campaign: CampaignArgument, etag: EtagOption = "") -> None:
    """LIVE to PAUSED: triggers are refused, accepted deliveries wait."""
    await _move(session, Clarion.pause_campaign, campaign, etag)


@command(app)
async def resume(session: Session, campaign: CampaignArgument, etag: EtagOption = "") -> None:
    """PAUSED to LIVE: what waited goes on."""
    await _move(session, Clarion.resume_campaign, campaign, etag)


@command(app)
async def stop(session: Session, campaign: CampaignArgument, etag: EtagOption = "") -> None:
    """LIVE or PAUSED to STOPPED, for good: what was not handed over yet becomes CANCELLED."""
    await _move(session, Clarion.stop_campaign, campaign, etag)


@command(app)
async def delete(session: Session, campaign: CampaignArgument, etag: EtagOption = "") -> None:
    """Remove a campaign in DRAFT or STOPPED; its triggers stay readable until their lifetime ends.

    A campaign created again under the same id keeps the account and, within 60 days, goes on counting revisions.
    """
    await session.clarion.delete_campaign(campaign, etag=etag)
    if session.out.as_json:
        session.out.document({})
    session.out.done(Text(short_name(campaign), "bold").append(": deleted", "default"))


@command(app)
async def preview(
    session: Session,
    campaign: CampaignArgument,
    to: ToOption = "",
    phone: PhoneOption = "",
    webhook: WebhookOption = "",
    device: DevicesOption = None,
    user_id: UserIdOption = "",
    locale: LocaleOption = "",
    context: ContextOption = None,
    channel: Annotated[str, typer.Option("--channel", metavar="CHANNEL", help=_CHANNEL_HELP)] = "",
    html: Annotated[bool, typer.Option("--html", help="Write the HTML body, and nothing else.")] = False,
) -> None:
    """Render the campaign for one recipient, and send nothing.

    Shows the message of each channel that there is an address for; of an e-mail the head and the plain text. With
    --output json: everything.
    """
    recipient = recipient_of(to=to, phone=phone, webhook=webhook, devices=device, user_id=user_id, locale=locale)
    if recipient is None and not user_id:
        raise typer.BadParameter("say who: --to EMAIL, --phone, --webhook, --device or --user-id", param_hint="--to")
    recipient = recipient or {"user_id": user_id, "locale": locale}
    answer = await session.clarion.preview_campaign(campaign, recipient, parse_context(context), channel=channel)
    if session.out.as_json:
        session.out.document(as_dict(answer))
    elif html:
        session.out.raw(answer.email.html)
    else:
        for shown in preview_views.preview(answer):
            session.out.show(shown)


async def _move(session: Session, call: Callable[..., Awaitable[Campaign]], name: str, etag: str) -> None:
    campaign = await call(session.clarion, name, etag=etag)
    if session.out.as_json:
        session.out.document(as_dict(campaign))
    line = Text(short_name(campaign.name), "bold").append(" is ", "default")
    session.out.done(line + views.state(views.word(Campaign.State, campaign.state)))
