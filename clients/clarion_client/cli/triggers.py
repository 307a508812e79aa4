"""`clarion trigger`, `clarion watch` and `clarion triggers`: run campaigns, and see what becomes of it."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from clarion.v1.trigger_pb2 import Trigger
from clarion.v1.trigger_service_pb2 import CreateTriggerResponse
from clarion_client import Clarion, short_name
from clarion_client.cli import views
from clarion_client.cli.arguments import (
    CampaignArgument,
    ContextOption,
    ExpireAtOption,
    ExpireInOption,
    LimitOption,
    LocaleOption,
    OrderingKeyOption,
    RequestIdOption,
    TriggerArgument,
    UserIdOption,
    parse_context,
)
from clarion_client.cli.exits import Exit
from clarion_client.cli.following import follow
from clarion_client.cli.output import as_dict
from clarion_client.cli.recipients import DevicesOption, PhoneOption, ToOption, WebhookOption, recipient_of
from clarion_client.cli.session import Session, command
from clarion_client.cli.trigger_file import trigger_file

app = typer.Typer(no_args_is_help=True, help="Look at triggers, hold them back, and call them off.")

_FILE_HELP = """A trigger a line: {"recipients": [...], "context": {...}}, if wanted with "expire_time" and
"ordering_key". Safe to run again: no line is triggered twice. A line is known by the file's full path, its number and
its content, as long as the server keeps its trigger."""
_AGAIN_HELP = "Begin a new run of --file: trigger its lines also where they ran before. Says the run's id."
_RUN_ID_HELP = "Go on with the run of --file that has this id: only its own lines count as triggered."


async def trigger(
    session: Session,
    campaign: CampaignArgument,
    to: ToOption = "",
    phone: PhoneOption = "",
    webhook: WebhookOption = "",
    device: DevicesOption = None,
    user_id: UserIdOption = "",
    locale: LocaleOption = "",
    context: ContextOption = None,
    expire_in: ExpireInOption = None,
    expire_at: ExpireAtOption = None,
    ordering_key: OrderingKeyOption = "",
    request_id: RequestIdOption = "",
    check: Annotated[bool, typer.Option("--check", help="Check everything, trigger nothing.")] = False,
    file: Annotated[Path | None, typer.Option(metavar="JSONL", help=_FILE_HELP)] = None,
    again: Annotated[bool, typer.Option("--again", help=_AGAIN_HELP)] = False,
    run_id: Annotated[str, typer.Option("--run-id", metavar="ID", help=_RUN_ID_HELP)] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Wait until every recipient is accounted for.")] = False,
) -> Exit:
    """Send a campaign to one recipient, or once for every line of a file."""
    recipient = recipient_of(to=to, phone=phone, webhook=webhook, devices=device, user_id=user_id, locale=locale)
    terms = bool(context or request_id or expire_in or expire_at or ordering_key)
    one = bool(recipient or user_id or locale or terms)
    _refuse_contradictions(one=one, file=file is not None, check=check, again=again, run_id=run_id, watch=watch)
    if file is not None:
        run_id = secrets.token_hex(6) if again else run_id
        return await trigger_file(session, campaign, file, run_id=run_id, check=check, watch=watch)
    if recipient is None:
        raise typer.BadParameter(
            "say who: --to EMAIL, --phone, --webhook or --device, or --file JSONL", param_hint="--to"
        )
    answer = await session.clarion.create_trigger(
        campaign,
        [recipient],
        parse_context(context),
        expire_time=_expire_time(expire_in, expire_at, request_id),
        ordering_key=ordering_key,
        request_id=request_id,
        validate_only=check,
    )
    if not watch:
        return _show(session, answer, check=check)
    if answer.replayed:
        session.out.note("an earlier call with this request id triggered it")
    return await follow(session, answer.trigger.name)


def _expire_time(expire_in: timedelta | None, expire_at: datetime | None, request_id: str) -> datetime | None:
    if expire_in and (expire_at or request_id):  # repeated, the call would have another expiry, and be refused
        raise typer.BadParameter(
            "counts from now: give --expire-at alone, or with --request-id", param_hint="--expire-in"
        )
    return datetime.now(UTC) + expire_in if expire_in else expire_at


def _refuse_contradictions(*, one: bool, file: bool, check: bool, again: bool, run_id: str, watch: bool) -> None:
    if file and one:
        raise typer.BadParameter(
            "with --file, recipients, context, expire_time and ordering_key come from its lines", param_hint="--file"
        )
    if (again or run_id) and not file:
        raise typer.BadParameter("--again and --run-id are about the lines of --file", param_hint="--file")
    if again and run_id:
        raise typer.BadParameter("begins a new run; --run-id goes on with an old one", param_hint="--again")
    if check and (again or run_id or watch):
        raise typer.BadParameter("triggers nothing: --again, --run-id and --watch mean nothing", param_hint="--check")


def _show(session: Session, answer: CreateTriggerResponse, *, check: bool) -> Exit:
    stored = answer.trigger
    if session.out.as_json:
        session.out.document(_checked(as_dict(stored)) if check else as_dict(stored) | {"replayed": answer.replayed})
    else:
        session.out.show(views.checked(stored) if check else views.trigger(stored, replayed=answer.replayed))
    return Exit.REFUSED if stored.refusals else Exit.OK


def _checked(trigger: dict[str, Any]) -> dict[str, Any]:
    """What is not stored has no name, no state and no deliveries."""
    told = ("campaign", "campaign_revision", "expire_time", "ordering_key", "refusals")
    kept = {key: trigger[key] for key in told if key in trigger}
    return {"checked": True, **kept, "counts": {key: trigger["counts"][key] for key in ("accepted", "refused")}}


async def watch(
    session: Session,
    trigger: TriggerArgument,
    feedback: Annotated[
        bool, typer.Option("--feedback", help="Go on then, for what is heard of its messages, until Ctrl-C.")
    ] = False,
) -> Exit:
    """Watch a trigger until every recipient is accounted for.

    Resumes by itself when the server restarts. With --output json: a line a step.
    """
    return await follow(session, trigger, feedback=feedback)


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
async def pause(session: Session, trigger: TriggerArgument) -> None:
    """Hold a trigger back: what was not handed over yet waits until it is resumed, cancelled or expired."""
    await _move(session, Clarion.pause_trigger, trigger)


@command(app)
async def resume(session: Session, trigger: TriggerArgument) -> None:
    """Let a paused trigger go on where it stood."""
    resumed = await _move(session, Clarion.resume_trigger, trigger)
    if resumed.state == Trigger.STATE_PAUSED:
        name = short_name(resumed.campaign)
        session.out.note(f"its campaign is PAUSED, and it goes on with that: clarion campaigns resume {name}")


@command(app)
async def cancel(session: Session, trigger: TriggerArgument) -> None:
    """Call a trigger off: what was not handed over yet becomes CANCELLED."""
    await _move(session, Clarion.cancel_trigger, trigger)


async def _move(session: Session, call: Callable[[Clarion, str], Awaitable[Trigger]], name: str) -> Trigger:
    moved = await call(session.clarion, name)
    line = Text(short_name(moved.name), "bold").append(" is ", "default")
    line.append_text(views.state(views.word(Trigger.State, moved.state))).append(": ", "default")
    session.out.say(line.append_text(views.counts_text(moved.counts)), as_dict(moved))
    return moved
