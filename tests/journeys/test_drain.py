"""A process that is told to end does so within its bound, also while what it waits for does not answer."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal

import pytest

from support.journey import Journey

pytestmark = pytest.mark.journey

HANGING = "dot-hang-once+1@example.com"
DRAIN_S, LEASE_S = 1, 1
PATIENCE_S = 30  # far above the bounds of draining, and half of what a reply of the mail server may take


async def test_a_mail_server_that_never_answers_holds_a_worker_up_for_its_drain_bound_only(journey: Journey) -> None:
    await journey.server()
    await journey.campaign()
    worker = await journey.worker(drain_s=DRAIN_S, lease_s=LEASE_S, sweep_s=0.2)
    await journey.trigger([HANGING, *(f"user-{index}@example.com" for index in range(99))])
    await journey.sink.wait_for_recipient(HANGING)
    async with asyncio.timeout(PATIENCE_S):
        assert await worker.terminate() == 0, worker
    assert worker.logs("drain_cut_off")

    await journey.worker(lease_s=LEASE_S, sweep_s=0.2)
    await journey.finished()
    report = await journey.report()
    assert report.closes, report
    assert report.states == {"sent": 100}
    assert report.ambiguous >= 1
    assert journey.sink.recipients()[HANGING] == 2


async def test_a_store_that_is_away_holds_nobody_up_for_longer_than_the_drain_bound(journey: Journey) -> None:
    server = await journey.server(drain_s=DRAIN_S)
    await journey.campaign()
    worker = await journey.worker(drain_s=DRAIN_S, lease_s=LEASE_S, sweep_s=0.2)
    await journey.trigger([f"dot-slow+{index}@example.com" for index in range(100)])
    await journey.sink.wait_for(10)
    journey.redis.kill()
    async with asyncio.timeout(PATIENCE_S):
        assert await worker.terminate() == 0, worker
        assert await server.terminate() == 0, server

    journey.redis.start()
    await journey.server()
    await journey.worker(lease_s=LEASE_S, sweep_s=0.2)
    await journey.finished()
    report = await journey.report()
    assert report.closes, report
    assert report.states == {"sent": 100}


async def test_a_signal_for_a_workers_whole_group_leaves_it_what_it_needs_to_drain(journey: Journey) -> None:
    await journey.server()
    await journey.campaign()
    worker = await journey.worker(sweep_s=0.2)
    await journey.trigger([f"user-{index}@example.com" for index in range(1000)])
    await journey.sink.wait_for(10)
    os.killpg(worker.pid, signal.SIGTERM)
    async with asyncio.timeout(PATIENCE_S):
        assert await worker.ended() == 0, worker
    assert not worker.logs("render_child_ended")

    await journey.worker(sweep_s=0.2)
    await journey.finished()
    report = await journey.report()
    assert report.closes, report
    assert (report.states, report.ambiguous) == ({"sent": 1000}, 0)


async def test_workers_told_to_end_at_any_moment_end_and_leave_nothing_to_be_found(journey: Journey) -> None:
    seed = secrets.randbelow(1_000_000)
    print(f"seed {seed}")  # noqa: T201
    rng = random.Random(seed)
    await journey.server()
    await journey.campaign()
    worker = await journey.worker()
    for turn in range(6):
        taken = len(journey.sink.taken())
        await journey.trigger([f"user-{turn}-{index}@example.com" for index in range(200)])
        await journey.sink.wait_for(taken + rng.randint(0, 200))
        async with asyncio.timeout(10):
            assert await worker.terminate() == 0, worker
        worker = await journey.worker()
    await journey.finished()

    report = await journey.report()
    assert report.closes, report
    assert report.states == {"sent": 1_200}
    assert (report.ambiguous, report.repeated) == (0, 0), report
