"""Following triggers until every recipient is accounted for, and showing it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from clarion.v1.delivery_pb2 import Delivery, FeedbackCounts
from clarion.v1.trigger_pb2 import DeliveryCounts, Trigger
from clarion.v1.trigger_service_pb2 import DeliveryChange, WatchTriggerResponse
from clarion_client import Clarion, short_name
from clarion_client.cli import views
from clarion_client.cli.exits import Exit
from clarion_client.cli.output import as_dict
from clarion_client.cli.session import Session
from clarion_client.cli.together import together

RECENT = 8
"""Moves that the live view shows below the account."""
_TOGETHER = 32


def exit_for_counts(counts: DeliveryCounts) -> Exit:
    """OK where everything that was asked for was sent, or held back by a suppression, which is meant."""
    lost = counts.failed + counts.expired + counts.cancelled + counts.ambiguous + counts.refused
    return Exit.REFUSED if lost else Exit.OK


class Account:
    """Where a trigger stands, kept up with the steps of its watch."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts = DeliveryCounts()
        self.feedback = FeedbackCounts()
        self.state = 0
        self.recent: list[DeliveryChange] = []

    def take(self, step: WatchTriggerResponse) -> None:
        """Note one step."""
        if step.HasField("snapshot"):
            self.counts, self.state, self.feedback = step.snapshot.counts, step.snapshot.state, step.snapshot.feedback
        elif step.HasField("change"):
            self.counts, self.state, self.feedback = step.change.counts, step.change.state, step.change.feedback
            self.recent = [*self.recent, *step.change.deliveries][-RECENT:]

    def view(self) -> RenderableType:
        """A bar, the account, and the latest moves."""
        done = self.counts.accepted - self.counts.in_flight
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(short_name(self.name), "bold"),
            views.state(views.word(Trigger.State, self.state)),
            ProgressBar(total=max(1, self.counts.accepted), completed=done, width=30),
            f"{done:,}/{self.counts.accepted:,}",
        )
        return Group(head, self.text(), *(change_line(each) for each in self.recent))

    def text(self) -> Text:
        """The account, and what was heard of its messages, in one line."""
        text, heard = views.counts_text(self.counts), views.feedback_text(self.feedback)
        return text.append(" · ", "dim").append_text(heard) if heard else text


def change_line(change: DeliveryChange) -> Text:
    """One delivery's move, or what was heard of it, in a line, under the name that `clarion deliveries get` takes."""
    text = Text(f"{views.when(change.time)}  ", "dim").append(short_name(change.delivery), "default").append("  ")
    if change.HasField("fact"):
        return text.append_text(views.fact_text(change.fact))
    text.append_text(views.state(views.word(Delivery.State, change.state)))
    reason = views.word(Delivery.Reason, change.reason).lower()
    text.append(f"  {reason}" if reason else "", "dim")
    text.append(f"  via {change.provider}" if change.provider else "", "dim")
    return text.append(f"  attempt {change.attempts}" if change.attempts > 1 else "", "dim")


async def follow(session: Session, name: str, *, feedback: bool = False) -> Exit:
    """Watch one trigger until it is finished, or for `feedback` on: live on a terminal, a line a move otherwise."""
    session.interrupted = f"the trigger goes on; watch it again with: clarion watch {short_name(name)}"
    account, out = Account(name), session.out
    steps = session.clarion.watch_trigger(name, feedback=feedback)
    if out.as_json:
        await _each(steps, account, lambda step: out.json_line(as_dict(step)))
    elif out.stdout.is_terminal:
        with Live(account.view(), console=out.stdout, auto_refresh=True) as live:
            await _each(steps, account, lambda step: live.update(account.view()))
    else:
        await _each(steps, account, lambda step: _print_moves(session, step))
        out.show(Text(f"{views.word(Trigger.State, account.state)}: ").append_text(account.text()))
    return exit_for_counts(account.counts)


async def _each(
    steps: AsyncIterator[WatchTriggerResponse], account: Account, show: Callable[[WatchTriggerResponse], None]
) -> None:
    async for step in steps:
        account.take(step)
        show(step)


def _print_moves(session: Session, step: WatchTriggerResponse) -> None:
    for change in step.change.deliveries:
        session.out.show(change_line(change))


async def follow_all(clarion: Clarion, names: Sequence[str], advance: Callable[[int], None]) -> DeliveryCounts:
    """The accounts of all these triggers, added up when each is finished. `advance` is told deliveries done."""
    total, waiting = DeliveryCounts(), iter(names)
    fields = [field.name for field in DeliveryCounts.DESCRIPTOR.fields]

    async def one_by_one() -> None:
        for name in waiting:
            account = Account(name)
            await _each(clarion.watch_trigger(name), account, lambda step: None)
            for field in fields:
                setattr(total, field, getattr(total, field) + getattr(account.counts, field))
            advance(account.counts.accepted)

    await together(min(_TOGETHER, len(names)), one_by_one)
    return total
