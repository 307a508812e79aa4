"""Workers are looked after while they run: drained, paused, watched when they stand still."""

from __future__ import annotations

import functools
import signal
from collections.abc import Awaitable

import pytest

from clarion.v1.worker_pb2 import Batch, Lane, Worker
from support.journey import Journey
from support.processes import Process
from support.records import until
from support.scrape import scrape

pytestmark = pytest.mark.journey

LEASE_S = 1


async def workers(journey: Journey) -> dict[int, Worker]:
    """Those that are known, by their pid."""
    return {worker.pid: worker async for worker in journey.client.list_workers()}


async def lane(journey: Journey) -> Lane:
    """The lane of the journey's campaign."""
    return {each.name: each async for each in journey.client.list_lanes()}["lanes/transactional"]


async def is_in(journey: Journey, process: Process, state: Worker.State.ValueType) -> bool:
    """Whether a worker is shown so."""
    return (await workers(journey))[process.pid].state == state


async def stuck(journey: Journey) -> list[Batch]:
    """The batches that should have moved and have not."""
    return [batch async for batch in journey.client.list_batches(stuck_only=True)]


async def test_a_worker_drained_in_full_swing_ends_well_and_loses_and_repeats_nothing(journey: Journey) -> None:
    await journey.server()
    await journey.campaign()
    leaves, stays = await journey.worker(sweep_s=0.2), await journey.worker(sweep_s=0.2)
    await journey.trigger_all([f"dot-slow+{index}@example.com" for index in range(600)])
    await journey.sink.wait_for(50)
    name = (await workers(journey))[leaves.pid].name
    assert (await journey.client.drain_worker(name)).state == Worker.STATE_DRAINING
    assert await leaves.ended() == 0, leaves
    assert leaves.logs("told_to_drain")
    assert leaves.logs("drained")
    assert set(await workers(journey)) == {stays.pid}
    await journey.finished()

    report = await journey.report()
    assert report.closes, report
    assert report.states == {"sent": 600}
    assert (report.ambiguous, report.repeated) == (0, 0), report


async def test_a_worker_that_stands_still_or_was_killed_is_silent(journey: Journey) -> None:
    await journey.server()
    still, dies = await journey.worker(), await journey.worker()
    assert {worker.state for worker in (await workers(journey)).values()} == {Worker.STATE_WORKING}
    still.signal(signal.SIGSTOP)
    await dies.kill()
    for process in (still, dies):
        await until(functools.partial(is_in, journey, process, Worker.STATE_SILENT))
    still.signal(signal.SIGCONT)
    await until(functools.partial(is_in, journey, still, Worker.STATE_WORKING))
    assert await is_in(journey, dies, Worker.STATE_SILENT)


async def test_a_lane_paused_across_a_restart_of_everything_waits_until_it_is_resumed(journey: Journey) -> None:
    server = await journey.server()
    await journey.campaign()
    worker = await journey.worker()
    await journey.client.pause_lane("transactional")
    await worker.logged("lane_paused", lane="transactional")
    await journey.trigger_all([f"user-{index}@example.com" for index in range(300)])
    await worker.kill()
    await server.kill()
    journey.redis.kill()
    journey.redis.start()

    server = await journey.server(metrics="127.0.0.1:0")
    worker = await journey.worker()
    assert worker.logs("lane_paused", lane="transactional"), "known before it takes anything"
    paused = await lane(journey)
    assert (paused.paused, paused.batches_waiting, paused.batches_due) == (True, 3, 3)
    found = await scrape(server.logs("serving")[0]["metrics"])
    assert found.value("clarion_lane_paused", lane="transactional") == 1
    assert found.value("clarion_deliveries", workspace="default", campaign="journey", state="in_flight") == 300
    assert journey.sink.taken() == []
    await journey.client.resume_lane("transactional")
    await journey.finished()
    report = await journey.report()
    assert report.closes, report
    assert report.states == {"sent": 300}


async def test_a_dead_workers_batches_are_stuck_while_nobody_takes_them_over(journey: Journey) -> None:
    await journey.server()
    await journey.campaign()
    worker = await journey.worker(lease_s=LEASE_S)
    await journey.trigger(["dot-hang@example.com"])
    await journey.sink.wait_for_recipient("dot-hang@example.com")
    name = (await workers(journey))[worker.pid].name
    (held,) = [batch async for batch in journey.client.list_batches()]
    assert held.worker == name
    await worker.kill()
    await until(lambda: _any(stuck(journey)))
    assert [(batch.id, batch.worker, batch.deliveries_open) for batch in await stuck(journey)] == [(held.id, name, 1)]
    await journey.client.pause_lane("transactional")
    await journey.worker(lease_s=LEASE_S, sweep_s=0.2)  # its sweep gives the batch out again, paused or not
    await until(lambda: _none(stuck(journey)))
    (waiting,) = [batch async for batch in journey.client.list_batches()]
    assert (waiting.id, waiting.worker) == (held.id, "")


async def _any(found: Awaitable[list[Batch]]) -> bool:
    return bool(await found)


async def _none(found: Awaitable[list[Batch]]) -> bool:
    return not await found
