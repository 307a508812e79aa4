"""Redis goes away in the middle and comes back; server and worker were not told, and recover by themselves."""

from __future__ import annotations

import asyncio

import pytest

from clarion_client import RetryConfig, Unavailable
from support.journey import Journey

pytestmark = pytest.mark.journey

COUNT, MIDDLE = 2_000, 700
# The sink answers every eightieth message late, so that there is a middle to be hit.
ADDRESSES = [
    f"dot-slow+{index}@example.com" if index % 80 == 0 else f"user-{index}@example.com" for index in range(COUNT)
]


@pytest.mark.parametrize("ending", ["killed", "stopped"])
async def test_a_restart_of_redis_in_the_middle_loses_and_doubles_nothing(journey: Journey, ending: str) -> None:
    server = await journey.server()
    impatient = await journey.client_of(server, RetryConfig(max_attempts=1))
    await journey.campaign()
    worker = await journey.worker(lease_s=2, sweep_s=0.2)
    await journey.trigger_all(ADDRESSES[: COUNT // 2])
    await journey.sink.wait_for(MIDDLE)
    if ending == "killed":
        journey.redis.kill()
    else:
        journey.redis.stop()
    with pytest.raises(Unavailable) as refused:
        await impatient.create_trigger("journey", [{"user_id": "1", "addresses": {"email": "a@example.com"}}])
    assert refused.value.reason == "STORE_UNAVAILABLE"
    assert refused.value.retry_after_s
    assert len(journey.sink.taken()) < COUNT // 2
    await worker.logged("store_away")
    await server.logged("readiness_changed", ready=False)
    calling = asyncio.create_task(journey.trigger(ADDRESSES[COUNT // 2 :]))  # the client repeats it until it is taken

    assert not calling.done()
    journey.redis.start()
    await worker.logged("store_back")
    await server.logged("readiness_changed", ready=True)
    await calling
    await journey.finished()

    report = await journey.report()
    assert report.closes, report
    assert report.states == {"sent": COUNT}
    assert worker.runs
    assert server.runs


async def test_an_outage_longer_than_a_lease_makes_nobody_take_over_what_is_still_in_hand(journey: Journey) -> None:
    await journey.server()
    await journey.campaign()
    workers = [await journey.worker(lease_s=2, sweep_s=0.1) for _ in range(2)]
    await journey.trigger_all(ADDRESSES)
    await journey.sink.wait_for(MIDDLE)
    journey.redis.kill()
    for worker in workers:
        await worker.logged("renewal_failed", count=4)  # three a lease
    assert len(journey.sink.taken()) < COUNT
    journey.redis.start()
    await journey.finished()

    report = await journey.report()
    assert report.closes, report
    assert report.states == {"sent": COUNT}
    assert report.ambiguous == 0, report
