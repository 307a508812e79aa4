"""A new server and a new worker are started, then the old ones are told to end: under load, and nobody notices."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from clarion_client import Clarion, RetryConfig, Unavailable
from support.journey import Journey

pytestmark = pytest.mark.journey

DRAIN_S = 5
CALLERS = 4


def _addresses(call: str) -> list[str]:
    """Twenty recipients; one of them is answered late, so that a drain finds something in hand."""
    return [f"dot-slow+{call}@example.com", *(f"user-{call}-{index}@example.com" for index in range(19))]


async def _call_until_refused(journey: Journey, caller: int, clients: Sequence[Clarion]) -> None:
    """Call the first server until it is gone, then go on at the second, with the same request id.

    The next call is made once the one before it is through: the load is what the workers carry.
    """
    first, second = clients
    for number in itertools.count():
        addresses = _addresses(f"{caller}-{number}")
        request_id = f"00000000-0000-4000-8000-{caller:04}{number:08}"
        try:
            name = await journey.trigger(addresses, client=first, request_id=request_id)
        except Unavailable:
            await journey.trigger(addresses, client=second, request_id=request_id)
            return
        async for _ in second.watch_trigger(name):
            continue


async def test_a_rolling_restart_under_load_loses_and_doubles_nothing(journey: Journey) -> None:
    once = RetryConfig(max_attempts=1)
    old_server = await journey.server(drain_s=DRAIN_S)
    old_client = await journey.client_of(old_server, once)
    await journey.campaign()
    old_worker = await journey.worker(drain_s=DRAIN_S)
    new_server = await journey.server()
    clients = (old_client, await journey.client_of(new_server, once))
    callers = [asyncio.create_task(_call_until_refused(journey, caller, clients)) for caller in range(CALLERS)]
    await journey.sink.wait_for(200)

    new_worker = await journey.worker()
    assert await old_worker.terminate() == 0, str(old_worker)
    assert old_worker.logs("draining")[0]["batches"] > 0
    assert not old_worker.logs("drain_cut_off")
    assert not any(caller.done() for caller in callers)
    assert await old_server.terminate() == 0, str(old_server)
    await asyncio.gather(*callers)  # a call that failed otherwise than by UNAVAILABLE fails here

    await journey.finished()
    report = await journey.report()
    assert report.closes, report
    assert set(report.states) == {"sent"}
    assert report.ambiguous == 0, report
    assert not new_worker.logs("batch_repaired"), "the old worker left a batch behind"
