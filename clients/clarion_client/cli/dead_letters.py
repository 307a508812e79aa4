"""`clarion dead-letters`: see what ended FAILED or AMBIGUOUS, send it again, or put it aside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated

import typer

from clarion.v1.delivery_pb2 import Delivery
from clarion_client import DeadLetterFilter, Redriven, delivery_name, short_name
from clarion_client.cli import views
from clarion_client.cli.arguments import CampaignArgument, DeliveriesOption, LimitOption, SinceOption, UntilOption
from clarion_client.cli.exits import Exit
from clarion_client.cli.question import can_ask, says_yes
from clarion_client.cli.session import Session, command

app = typer.Typer(no_args_is_help=True, help="See what ended FAILED or AMBIGUOUS; send it again, or discard it.")

_STATES = {"failed": Delivery.STATE_FAILED, "ambiguous": Delivery.STATE_AMBIGUOUS}
_OTHER_ENDS = {
    Delivery.REASON_UNSPECIFIED,
    Delivery.REASON_TRIGGER_CANCELLED,
    Delivery.REASON_CAMPAIGN_STOPPED,
    Delivery.REASON_EXPIRED,
    Delivery.REASON_ADDRESS_SUPPRESSED,
    Delivery.REASON_DOMAIN_SUPPRESSED,
    Delivery.REASON_ADDRESS_NOT_ALLOWED,
    Delivery.REASON_DOMAIN_NOT_ALLOWED,
}
_REASONS = {
    views.word(Delivery.Reason, number).lower(): number
    for number in Delivery.Reason.values()
    if number not in _OTHER_ENDS
}
_TWICE = (
    "an AMBIGUOUS one was handed over and never answered: it may have arrived, and its recipient may see the message "
    "twice, under the same Message-ID; --state failed leaves such out"
)


def _state(word: str) -> str:
    if word.lower() not in _STATES:
        raise typer.BadParameter(f"{word!r} is not one of {', '.join(_STATES)}")
    return word.lower()


def _reason(word: str) -> str:
    if (known := word.lower().replace("-", "_")) not in _REASONS:
        raise typer.BadParameter(f"{word!r} is not one of {', '.join(_REASONS)}")
    return known


StateOption = Annotated[
    list[str] | None,
    typer.Option(metavar="STATE", parser=_state, help=f"Only these: {', '.join(_STATES)}. Repeatable."),
]
ReasonOption = Annotated[
    list[str] | None,
    typer.Option(metavar="REASON", parser=_reason, help=f"Only with one of these: {', '.join(_REASONS)}. Repeatable."),
]
ProviderOption = Annotated[
    str, typer.Option(metavar="NAME", help="Only where the last attempt was with this provider.")
]
CheckOption = Annotated[bool, typer.Option("--check", help="Count what fits, change nothing.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, whatever fits.")]


def _which(
    delivery: list[str] | None,
    state: list[str] | None,
    reason: list[str] | None,
    provider: str,
    since: datetime | None,
    until: datetime | None,
) -> DeadLetterFilter:
    return DeadLetterFilter(
        deliveries=[delivery_name(name) for name in delivery or ()],
        states=[_STATES[word] for word in state or ()],
        reasons=[_REASONS[word] for word in reason or ()],
        provider=provider,
        from_time=since,
        until_time=until,
    )


@command(app, "list")
async def list_(
    session: Session,
    campaign: CampaignArgument,
    state: StateOption = None,
    reason: ReasonOption = None,
    provider: ProviderOption = "",
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 0,
) -> None:
    """List a campaign's deliveries that ended FAILED or AMBIGUOUS, the triggers that first failed first."""
    which = _which(None, state, reason, provider, since, until)
    found = session.clarion.list_dead_letters(campaign, **which)
    await session.out.messages(found, views.dead_letter_list, limit=limit, nothing="no dead letters")


@command(app)
async def redrive(
    session: Session,
    campaign: CampaignArgument,
    delivery: DeliveriesOption = None,
    state: StateOption = None,
    reason: ReasonOption = None,
    provider: ProviderOption = "",
    since: SinceOption = None,
    until: UntilOption = None,
    check: CheckOption = False,
    yes: YesOption = False,
) -> Exit:
    """Send dead letters again: all of the campaign, or those that fit.

    The same deliveries with the same Message-IDs, their attempts counted anew. One that is AMBIGUOUS may have arrived
    the first time: its recipient may see the message twice. Left alone is what was called off or has expired. Asks
    before it sends more than one at a terminal, unless they are named.
    """
    which = _which(delivery, state, reason, provider, since, until)
    if check or _asks(session, which, yes=yes):
        would = await _would_redrive(session, campaign, which, say=check)
        if check:
            return _exit(session, would, which)
        question = f"send {would.redriven:,} dead letters of {short_name(campaign)} again{_left_alone(would)}?"
        if would.redriven > 1 and not await says_yes(session, question):
            session.out.note("nothing is sent again")
            return Exit.OK
    elif _may_be_ambiguous(which):
        session.out.note(_TWICE)
    with _counted(session, "sent again") as count:
        done = await session.clarion.redrive_dead_letters(
            campaign, progress=lambda total: count(total.redriven), **which
        )
    document = {"redriven": done.redriven, "skipped": done.skipped}
    session.out.say(f"{short_name(campaign)}: {done.redriven:,} sent again{_left_alone(done)}", document)
    return _exit(session, done, which)


@command(app)
async def discard(
    session: Session,
    campaign: CampaignArgument,
    because: Annotated[
        str, typer.Option(metavar="TEXT", help="Why, for people; kept on each. At most 200 characters.")
    ],
    delivery: DeliveriesOption = None,
    state: StateOption = None,
    reason: ReasonOption = None,
    provider: ProviderOption = "",
    since: SinceOption = None,
    until: UntilOption = None,
    check: CheckOption = False,
    yes: YesOption = False,
) -> Exit:
    """Take dead letters out of the list for good, with a reason: all of the campaign, or those that fit.

    Their state stays, and so does the account. Asks before it discards more than one at a terminal, unless they are
    named.
    """
    which = _which(delivery, state, reason, provider, since, until)
    calls = session.clarion
    if check or _asks(session, which, yes=yes):
        would = await calls.discard_dead_letters(campaign, reason=because, validate_only=True, **which)
        if check:
            session.out.say(f"would be discarded: {would:,}", {"checked": True, "discarded": would})
            return _exit(session, Redriven(redriven=would), which)
        question = f"discard {would:,} dead letters of {short_name(campaign)} for good?"
        if would > 1 and not await says_yes(session, question):
            session.out.note("nothing is discarded")
            return Exit.OK
    with _counted(session, "discarded") as count:
        done = await calls.discard_dead_letters(campaign, reason=because, progress=count, **which)
    session.out.say(f"{short_name(campaign)}: {done:,} discarded", {"discarded": done})
    return _exit(session, Redriven(redriven=done), which)


def _asks(session: Session, which: DeadLetterFilter, *, yes: bool) -> bool:
    return not yes and not which["deliveries"] and can_ask(session)


async def _would_redrive(session: Session, campaign: str, which: DeadLetterFilter, *, say: bool) -> Redriven:
    """What a redrive would do, with a word about those that are AMBIGUOUS; `say` it as the command's result."""
    redrive = session.clarion.redrive_dead_letters
    would = await redrive(campaign, validate_only=True, **which)
    unsure = 0
    if would.redriven and _may_be_ambiguous(which):
        only = which | DeadLetterFilter(states=[Delivery.STATE_AMBIGUOUS])
        unsure = (await redrive(campaign, validate_only=True, **only)).redriven
    if unsure:
        session.out.note(f"AMBIGUOUS among them: {unsure:,}; {_TWICE}")
    if say:
        document = {"checked": True, "redriven": would.redriven, "ambiguous": unsure, "skipped": would.skipped}
        session.out.say(f"would be sent again: {would.redriven:,}{_left_alone(would)}", document)
    return would


def _may_be_ambiguous(which: DeadLetterFilter) -> bool:
    return not which["states"] or Delivery.STATE_AMBIGUOUS in which["states"]


def _left_alone(done: Redriven) -> str:
    return f", {done.skipped:,} left alone (called off, or their time is over)" if done.skipped else ""


def _exit(session: Session, done: Redriven, which: DeadLetterFilter) -> Exit:
    """OK where nothing that fits was left alone, and all that was named fits."""
    missing = len(set(which["deliveries"])) - done.redriven - done.skipped
    if missing > 0:
        session.out.note(f"of those that are named, {missing:,} no dead letters, or not of that state, reason or time")
    return Exit.REFUSED if done.skipped or missing > 0 else Exit.OK


@contextmanager
def _counted(session: Session, done: str) -> Iterator[Callable[[int], None]]:
    """Says how far it got: to whoever watches, and where it breaks off."""
    count = 0
    session.interrupted = "the same command goes on with the rest"
    with session.out.waiting(f"{done}: 0") as tell:

        def note(total: int) -> None:
            nonlocal count
            count = total
            tell(f"{done}: {total:,}")

        try:
            yield note
        except BaseException:
            session.out.note(f"{done} before this: {count:,}")
            raise
