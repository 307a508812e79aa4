"""The demo's last table."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clarion_client.cli import views
from clarion_stack.accounting import Account

STATES_ALWAYS_SHOWN = ("SENT", "FAILED")


def show_report(console: Console, account: Account, *, page: Path, logs: Path) -> None:
    """What became of every recipient, how long it took, whether it adds up, and where to look."""
    table = Table(box=box.ROUNDED, show_header=False, title="What became of every recipient", title_style="bold")
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    _add_recipients(table, account)
    _add_deliveries(table, account)
    _add_bounces(table, account)
    _add_times(table, account)
    table.add_row("accounting", _verdict(account), _explained(account))
    console.print()
    console.print(table)
    console.print(f"The mail:  {page.as_uri()}", soft_wrap=True, highlight=False)
    console.print(f"The logs:  {logs}", soft_wrap=True, highlight=False)
    console.print("A stack of your own to try things on:  make up", highlight=False)


def _add_recipients(table: Table, account: Account) -> None:
    tally = account.tally
    table.add_row(
        "recipients",
        f"{tally.accepted + tally.refused:,}",
        f"in {tally.lines:,} calls, {len(tally.triggers):,} triggers",
    )
    table.add_row("accepted", f"{tally.accepted:,}", "")
    table.add_row("refused", f"{tally.refused:,}", "", end_section=not tally.reasons)
    reasons = tally.ranked()
    for at, ((field, description), count) in enumerate(reasons, 1):
        why = Text(f"{count} × {field}: " if field else f"{count} × ").append(description, "dim")
        table.add_row("", "", why, end_section=at == len(reasons))


def _add_deliveries(table: Table, account: Account) -> None:
    others = sorted(account.states.keys() - set(STATES_ALWAYS_SHOWN))
    for state in (*STATES_ALWAYS_SHOWN, *others):
        why = ", ".join(f"{count} × {reason}" for reason, count in account.failures.most_common())
        last = state == (others or STATES_ALWAYS_SHOWN)[-1]
        table.add_row(state.lower(), f"{account.states[state]:,}", why if state == "FAILED" else "", end_section=last)


def _add_bounces(table: Table, account: Account) -> None:
    """What was sent and came back: the state is still SENT."""
    told = [
        f"{delivery.user_id}: {fact.detail or fact.code} ({views.bounce_text(fact.bounce)})"
        for delivery, fact in account.bounces
    ]
    table.add_row("bounced", f"{len(told):,}", "\n".join(told), end_section=True)


def _add_times(table: Table, account: Account) -> None:
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        time = account.latency_ms(share)
        shown = "–" if time is None else f"{time:,.0f} ms"
        table.add_row(name, shown, "from accept to handed over", end_section=name == "p99")


def _verdict(account: Account) -> Text:
    return Text("closes", "bold green") if account.closes else Text("does not close", "bold red")


def _explained(account: Account) -> str:
    if not account.closes:
        return "; ".join(account.gaps)
    parts = " + ".join(f"{count:,} {state.lower()}" for state, count in sorted(account.states.items(), reverse=True))
    return (
        f"{account.tally.accepted:,} accepted = {parts} + 0 in flight; "
        f"{len(account.in_mailbox):,} messages of this run are in the mailbox, each once"
    )
