"""How suppressions and allow lists look to people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from clarion.v1.delivery_pb2 import Delivery
from clarion.v1.suppression_pb2 import AddressVerdict, AllowedEntry, AllowList, Suppression
from clarion_client.cli.list_run import value_of
from clarion_client.cli.output import grid, listing
from clarion_client.cli.views import when, word


def suppression_list(suppressions: Sequence[Suppression]) -> Table:
    """One suppression a line, named as `clarion suppressions remove` takes it."""
    table = listing("VALUE", "REASON", "SOURCE", "SINCE", "UNTIL", "COMMENT")
    for each in suppressions:
        reason = word(Suppression.Reason, each.reason).lower()
        until = when(each.expire_time)
        table.add_row(value_of(each.target), reason, each.source, when(each.create_time), until, each.comment)
    return table


def allowed_list(entries: Sequence[AllowedEntry]) -> Table:
    """One entry a line, named as `clarion allow-list remove` takes it."""
    table = listing("VALUE", "SOURCE", "SINCE", "UNTIL", "COMMENT")
    for each in entries:
        until = when(each.expire_time)
        table.add_row(value_of(each.target), each.source, when(each.create_time), until, each.comment)
    return table


def verdict_list(verdicts: Sequence[AddressVerdict]) -> Table:
    """One address a line: whether it would be sent to, and what forbids it."""
    table = listing("ADDRESS", "SENT TO", "REASON", "BY", "BECAUSE", "SINCE", "COMMENT")
    for each in verdicts:
        may = Text("yes", "green") if each.may_receive else Text("no", "red")
        by = each.suppression
        reason = word(Delivery.Reason, each.reason).lower()
        because = word(Suppression.Reason, by.reason).lower()
        listed = value_of(by.target) if each.HasField("suppression") else ""
        table.add_row(each.address, may, reason, listed, because, when(by.create_time), by.comment)
    return table


def allow_list(found: AllowList) -> Table:
    """An allow list's state."""
    state = Text("active", "green") if found.active else Text("not active: nobody is kept out by it", "dim")
    if found.active and not found.entries:
        state = Text("active and empty: nothing is sent", "red")
    return grid([("channel", found.channel), ("state", state), ("entries", f"{found.entries:,}")])
