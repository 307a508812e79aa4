"""How workers, lanes, batches and throttles look to people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from clarion.v1.worker_pb2 import Batch, Lane, Throttle, Worker
from clarion_client.cli.output import listing
from clarion_client.cli.views import state, when, word
from clarion_client.names import short_name


def worker_list(workers: Sequence[Worker]) -> Table:
    """One worker a line, under the name that `clarion workers drain` takes."""
    numbers = ("PID", "IN FLIGHT", "BATCHES", "PER SECOND", "LAST SIGN")
    table = listing(
        "WORKER", "STATE", "HOST", "PID", "VERSION", "LANES", "IN FLIGHT", "BATCHES", "PER SECOND", "STARTED",
        "LAST SIGN", right=numbers,
    )  # fmt: skip
    for each in workers:
        table.add_row(
            short_name(each.name),
            state(word(Worker.State, each.state)),
            each.host,
            str(each.pid),
            each.version,
            ", ".join(short_name(lane) for lane in each.lanes),
            f"{each.deliveries_in_flight:,}",
            f"{each.batches_in_hand:,}",
            f"{each.rate_per_s:,.1f}",
            when(each.start_time),
            f"{each.heartbeat_age_s:.1f} s ago",
        )
    return table


def lane_list(lanes: Sequence[Lane]) -> Table:
    """One lane a line; batches of up to 100 deliveries."""
    columns = ("LANE", "STATE", "WAITING", "DUE", "OLDEST DUE", "IN HAND")
    table = listing(*columns, right=columns[2:])
    for each in lanes:
        table.add_row(
            short_name(each.name),
            state("PAUSED") if each.paused else Text("OPEN", "green"),
            f"{each.batches_waiting:,}",
            f"{each.batches_due:,}",
            f"{each.oldest_due_age_s:,.1f} s" if each.batches_due else "",
            f"{each.batches_in_hand:,}",
        )
    return table


def batch_list(batches: Sequence[Batch]) -> Table:
    """One batch a line."""
    numbers = ("OPEN", "EPOCH", "CRASHES")
    table = listing(
        "BATCH", "STATE", "CAMPAIGN", "LANE", "OPEN", "EPOCH", "CRASHES", "DUE", "WORKER", "LEASE UNTIL", right=numbers
    )
    for each in batches:
        table.add_row(
            each.id,
            state(word(Batch.State, each.state)),
            f"{each.workspace}/{short_name(each.campaign)}",
            short_name(each.lane),
            f"{each.deliveries_open:,}",
            str(each.epoch),
            str(each.crashes),
            when(each.due_time),
            short_name(each.worker),
            when(each.lease_end_time),
        )
    return table


def throttle_list(throttles: Sequence[Throttle]) -> Table:
    """One throttle a line."""
    table = listing("THROTTLE", "WORKSPACE", "PER SECOND", "AT ONCE", right=("PER SECOND", "AT ONCE"))
    for each in throttles:
        table.add_row(each.name, each.workspace, f"{each.rate_per_s:g}", f"{each.burst:,}")
    return table
