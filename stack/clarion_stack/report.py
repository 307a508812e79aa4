"""The demo's last table."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clarion_client.cli import views
from clarion_core.domain.medium import Channel
from clarion_stack.accounting import Account

STATES_ALWAYS_SHOWN = ("SENT", "FAILED")
SHARES = (("p50", 0.5), ("p99", 0.99))


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
    _show(console, table, {"The mail": page.as_uri(), "The logs": str(logs)})


def show_report_by_channel(console: Console, account: Account, *, page: Path, logs: Path) -> None:
    """The same for a campaign that speaks on all channels."""
    table = Table(box=box.ROUNDED, title="What became of every message", title_style="bold")
    table.add_column(style="bold")
    for heading in ("accepted", "sent", "failed", "suppressed"):
        table.add_column(heading, justify="right")
    table.add_column("why", overflow="fold")
    for channel in Channel:
        _add_channel(table, channel.value, account.of_channel(channel), end_section=channel is list(Channel)[-1])
    _add_channel(table, "all", account, end_section=False)
    _show(console, table, {})
    _show_rest(console, account)
    _show_places(console, {"Every message": page.as_uri(), "The logs": str(logs)})


def _show_rest(console: Console, account: Account) -> None:
    """What is no channel's, or everybody's."""
    tally, rows = account.tally, Table.grid(padding=(0, 2))
    people = f"{tally.lines:,} in as many calls; {tally.refused:,} refused" + (":" if tally.refused else "")
    rows.add_row("recipients", people)
    for (field, description), count in tally.ranked():
        rows.add_row("", Text(f"{count} × {field}: " if field else f"{count} × ").append(description, "dim"))
    times = ", ".join(f"{name} {_time(account, share)}" for name, share in SHARES)
    rows.add_row("time", f"{times}, from accept to handed over")
    heard = [f"{account.delivered:,} of the text messages were delivered, by the phone's word", *_bounces(account)]
    rows.add_row("heard of", "\n".join(heard))
    rows.add_row("accounting", _verdict(account).append(f": {_explained(account)}", "not bold default"))
    console.print(rows)


def _show(console: Console, table: Table, places: dict[str, str]) -> None:
    console.print()
    console.print(table)
    _show_places(console, places)


def _show_places(console: Console, places: dict[str, str]) -> None:
    for what, where in places.items():
        console.print(f"{what}:  {where}", soft_wrap=True, highlight=False)


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
    told = _bounces(account)
    table.add_row("bounced", f"{len(told):,}", "\n".join(told), end_section=True)


def _bounces(account: Account) -> list[str]:
    return [
        f"{delivery.user_id}: {fact.detail or fact.code} ({views.bounce_text(fact.bounce)})"
        for delivery, fact in account.bounces
    ]


def _add_channel(table: Table, name: str, account: Account, *, end_section: bool) -> None:
    why = ", ".join(f"{count} × {reason}" for reason, count in account.reasons.most_common())
    counts = [f"{account.states[state]:,}" for state in ("SENT", "FAILED", "SUPPRESSED")]
    total = f"{len(account.deliveries):,}"
    table.add_row(name, total, *counts, "" if name == "all" else why, end_section=end_section)


def _add_times(table: Table, account: Account) -> None:
    for name, share in SHARES:
        table.add_row(name, _time(account, share), "from accept to handed over", end_section=name == "p99")


def _time(account: Account, share: float) -> str:
    time = account.latency_ms(share)
    return "–" if time is None else f"{time:,.0f} ms"


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
