"""What the benchmarks measure with: the sinks' clocks, the load generators, the bars."""

from __future__ import annotations

import time
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest

from benchmarks import h2, orders
from benchmarks.flood import flood
from benchmarks.processes import Child, module
from benchmarks.rows import BARS, Row, share
from benchmarks.sink import watch
from benchmarks.stand import sink
from benchmarks.throttle import largest_second


def a_row(row_id: str, value: float | None, ratio: float | None = None) -> Row:
    return Row(id=row_id, value=value, unit="", ratio=ratio)


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (a_row("idle_p50_ms", 10), True),
        (a_row("idle_p50_ms", 11), False),
        (a_row("idle_p50_ms", None), False),
        (a_row("deliver_vs_celery", 9, ratio=10), True),
        (a_row("deliver_vs_celery", 99, ratio=9.9), False),
        (a_row("lane_p99_ms", 150, ratio=9), True),
        (a_row("lane_p99_ms", 500, ratio=2), True),
        (a_row("lane_p99_ms", 151, ratio=2.1), False),
    ],
)
def test_a_bar_is_met_by_value_or_ratio_as_it_says(row: Row, met: bool) -> None:
    assert BARS[row.id].is_met(row) is met


def test_a_share_is_the_value_that_so_many_do_not_exceed() -> None:
    ordered = [float(number) for number in range(1, 401)]
    assert (share(ordered, 0.5), share(ordered, 0.99), share(ordered[:1], 0.99)) == (201, 397, 1)


def test_the_largest_second_is_found_wherever_it_begins() -> None:
    assert largest_second([0.0, 0.5, 0.9, 1.0, 1.2, 1.4, 1.49, 3.0]) == 6  # from 0.5 on, 1.5 excluded
    assert largest_second([0.0, 1.0, 2.0]) == 1


async def send(port: int, to: str) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "shop@example.com", to
    await aiosmtplib.send(message, hostname="127.0.0.1", port=port)


async def test_a_timed_sink_tells_when_each_message_to_a_domain_came(tmp_path: Path) -> None:
    with sink(tmp_path, timed=True) as mail:
        port = mail.said["port"]
        async with watch(port) as sinks:
            before = time.monotonic()
            await send(port, "a@one.example")
            await send(port, "b@other.example")
            await send(port, "c@one.example")
            (first, early), (second, late) = await sinks.times("one.example", 2, 30)
    assert (first, second) == ("a@one.example", "c@one.example")
    assert before <= early <= late <= time.monotonic()


async def test_every_call_of_a_load_and_of_a_flood_is_accounted_for(tmp_path: Path) -> None:
    with Child("echo", module("benchmarks.echo"), tmp_path, '"port"') as echo:
        target = f"127.0.0.1:{echo.said['port']}"
        loaded = await h2.load(target, orders.METHOD, orders.unary(), seconds=0.2)
        missed = await h2.load(target, "/clarion.v1.TriggerService/NoSuchMethod", orders.unary(), seconds=0.2)
        came = await flood(target, orders.METHOD, orders.unary(), seconds=0.5, rate=200, patience_s=20)
    assert (loaded.calls > 0, loaded.failures) == (True, 0)
    assert (missed.calls, missed.failures > 0) == (0, True)
    assert came.good + came.refused + came.given_up == 100
    assert (came.good, came.refused) == (100, 0)
