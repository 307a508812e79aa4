"""`clarion trigger`, `clarion watch` and `clarion triggers`: run campaigns, and see what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from clarion.v1.trigger_pb2 import Trigger
from clarion_client import short_name
from clarion_client.cli import views
from clarion_client.cli.arguments import ContextOption, LimitOption, LocaleOption, parse_context
from clarion_client.cli.exits import Exit
from clarion_client.cli.following import follow
from clarion_client.cli.output import as_dict
from clarion_client.cli.session import Session, command
from clarion_client.cli.trigger_file import trigger_file

app = typer.Typer(no_args_is_help=True, help="Look at triggers and call them off.")

CampaignArgument = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="`campaigns/welcome` or `welcome`.")]
TriggerArgument = Annotated[
    str, typer.Argument(metavar="TRIGGER", help="`campaigns/welcome/triggers/01…` or `welcome/01…`.")
]


async def trigger(
    session: Session,
    campaign: CampaignArgument,
    to: Annotated[str, typer.Option("--to", metavar="EMAIL", help="The recipient's address.")] = "",
    user_id: Annotated[str, typer.Option(metavar="ID", help="The recipient's user id; the address unless given.")] = "",
    locale: LocaleOption = "",
    context: ContextOption = None,
    request_id: Annotated[str, typer.Option(metavar="UUID", help="Makes the call safe to repeat.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Check everything, trigger nothing.")] = False,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="JSONL", help='A trigger a line: {"recipients": [...], "context": {...}}. Safe to run again.'
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Trigger the lines of --file that ran before anew.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Wait until every recipient is accounted for.")] = False,
) -> Exit:
    """Send a campaign to one recipient, or once for every line of a file."""
    if file is not None:
        if to or user_id or locale or context or request_id or check:
            raise typer.BadParameter("with --file, recipients and context come from its lines", param_hint="--file")
        return await trigger_file(session, campaign, file, again=again, watch=watch)
    if not to:
        raise typer.BadParameter("say who: --to EMAIL, or --file JSONL", param_hint="--to")
    recipient = {"user_id": user_id or to, "addresses": {"email": to}, "locale": locale}
    answer = await session.clarion.create_trigger(
        campaign, [recipient], parse_context(context), request_id=request_id, validate_only=check
    )
    if watch and not check:
        return await follow(session, answer.trigger.name)
    session.out.message(answer.trigger, views.trigger)
    return Exit.REFUSED if answer.trigger.refusals else Exit.OK


async def watch(session: Session, trigger: TriggerArgument) -> Exit:
    """Watch a trigger until every recipient is accounted for.

    Resumes by itself when the server restarts. With --output json: a line a step.
    """
    return await follow(session, trigger)


@command(app, "list")
async def list_(session: Session, campaign: CampaignArgument, limit: LimitOption = 0) -> None:
    """List a campaign's triggers, the newest first."""
    found = session.clarion.list_triggers(campaign)
    await session.out.messages(found, views.trigger_list, limit=limit, nothing="no triggers")


@command(app)
async def get(session: Session, trigger: TriggerArgument) -> None:
    """Show one trigger's account, and who was refused."""
    session.out.message(await session.clarion.get_trigger(trigger), views.trigger)


@command(app)
async def cancel(session: Session, trigger: TriggerArgument) -> None:
    """Call a trigger off: what was not handed over yet becomes CANCELLED."""
    called_off = await session.clarion.cancel_trigger(trigger)
    if session.out.as_json:
        session.out.document(as_dict(called_off))
    line = Text(short_name(called_off.name), "bold").append(" is ", "default")
    line.append_text(views.state(views.word(Trigger.State, called_off.state))).append(": ", "default")
    session.out.done(line.append_text(views.counts_text(called_off.counts)))
