"""Throttles: permits are taken in the step that opens a window, and what must wait books a slot in its queue."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clarion_core.domain.campaign import Throttle
from clarion_core.queue import job_parts
from clarion_core.store.batches import Claim, NotClaimed, Permit, Step, Way
from clarion_core.store.keys import CONTROL, LIMITS, key
from support.records import LANE, QUEUE, SENT, Records, results, wanted

SLOW = Throttle(rate_per_s=0.001, burst=5)  # no permit comes back while a test runs
PROVIDER = Way(
    provider="smtp", limits=(("channel:email", SLOW), ("provider:email/smtp", Throttle(rate_per_s=0.001, burst=3)))
)
THROTTLE = key(CONTROL, "throttle", "campaign:default/welcome")


async def test_a_window_opens_as_far_as_permits_reach(records: Records) -> None:
    await records.campaign(throttle=SLOW)
    trigger = await records.trigger(8)
    worker = records.worker()
    claim = await records.claim(worker)
    assert claim.room == 5
    opened = await worker.advance(claim, [], wanted(claim))
    assert opened.permits == (Permit.YES,) * 5 + (Permit.LATER,) * 3
    assert opened.wait_ms > 0
    done = await worker.finish(claim, results(wanted(claim, 0, 5), SENT), wait_ms=opened.wait_ms, throttled=True)
    assert done.step is Step.HANDED_BACK
    assert await records.states(trigger) == "SSSSSQQQ"
    assert {record.attempts for record in (await records.deliveries(trigger))[5:]} == {0}


async def test_what_waits_for_permits_looks_again_soon_since_the_limit_may_be_cleared(records: Records) -> None:
    await records.campaign(throttle=SLOW)
    await records.trigger(8)
    worker = records.worker()
    claim = await records.claim(worker)
    opened = await worker.advance(claim, [], wanted(claim))
    assert opened.wait_ms > 1_000_000
    await worker.finish(claim, results(wanted(claim, 0, 5), SENT), wait_ms=opened.wait_ms, throttled=True)
    waits_ms = (await due(records))[claim.ref.id] - await now_us(records) / 1000
    assert waits_ms <= LIMITS["SLOT_LOOK_MS"] == 15_000


async def test_a_batch_without_permits_waits_in_its_queue_until_its_turn(records: Records) -> None:
    await records.campaign(throttle=SLOW)
    triggers = [await records.trigger(5) for _ in range(3)]
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim))
    before = await due(records)
    first, second = [ref for ref in await records.jobs() if ref.id != claim.ref.id]
    assert await worker.claim(first, lane=LANE) is NotClaimed.THROTTLED
    assert await worker.claim(second, lane=LANE) is NotClaimed.THROTTLED
    after = await due(records)
    # Not before it is worth asking again, and not so late that those who are gone would hold it up.
    assert all(before[ref.id] + 5_000 < after[ref.id] for ref in (first, second))
    assert sorted([await records.states(trigger) for trigger in triggers]) == ["GGGGG", "QQQQQ", "QQQQQ"]
    await worker.finish(claim, results(wanted(claim), SENT))


async def due(records: Records) -> dict[str, float]:
    """When each batch is due."""
    rows = await records.store.command("ZRANGE", key(0, "queue", QUEUE), 0, -1, "WITHSCORES", withscores=True)
    return {job_parts(name.decode())[2]: score for name, score in rows}


async def test_those_who_booked_are_not_overtaken_by_those_who_come_later(records: Records) -> None:
    """What waits keeps its place, also where permits come back before it is there to take them."""
    await records.campaign(throttle=Throttle(rate_per_s=10, burst=5))
    for _ in range(3):
        await records.trigger(100)
    worker = records.worker()
    refs = await records.jobs()
    claim = await worker.claim(refs[0], lane=LANE)
    assert isinstance(claim, Claim)
    opened = await worker.advance(claim, [], wanted(claim))
    assert sum(permit is Permit.YES for permit in opened.permits) == 5
    far_us = 4_000_000_000_000_000
    await records.store.command("HSET", THROTTLE, "s", far_us)  # booked for long
    await records.store.command("HSET", THROTTLE, "t", await now_us(records) + 200_000)  # and a permit or more
    assert await worker.claim(refs[1], lane=LANE) is NotClaimed.THROTTLED
    await records.store.command("HSET", key(0, "batch", refs[2].id), "bk", 1)
    assert isinstance(await worker.claim(refs[2], lane=LANE), Claim)


async def now_us(records: Records) -> int:
    seconds, micros = await records.store.command("TIME")
    return int(seconds) * 1_000_000 + int(micros)


async def test_the_scarcest_of_all_limits_counts(records: Records) -> None:
    await records.campaign(throttle=SLOW)
    await records.trigger(10)
    worker = records.worker()
    claim = await worker.claim((await records.jobs())[0], PROVIDER, lane=LANE)
    assert isinstance(claim, Claim)
    assert claim.room == 3
    opened = await worker.advance(claim, [], wanted(claim), way=PROVIDER)
    assert opened.permits.count(Permit.YES) == 3


async def test_what_an_operator_set_is_in_force_at_once(records: Records) -> None:
    await records.campaign(throttle=SLOW)
    await records.trigger(10)
    worker = records.worker()
    claim = await records.claim(worker)
    await records.store.command("HSET", key(CONTROL, "throttles"), "campaign:default/welcome", "0.001 7")
    opened = await worker.advance(claim, [], wanted(claim))
    assert opened.permits.count(Permit.YES) == 7


async def test_a_campaign_without_a_limit_takes_no_permits(records: Records) -> None:
    await records.campaign()
    await records.trigger(100)
    worker = records.worker()
    claim = await records.claim(worker)
    assert claim.room is None
    opened = await worker.advance(claim, [], wanted(claim))
    assert set(opened.permits) == {Permit.YES}
    assert await records.store.command("EXISTS", THROTTLE) == 0
    await worker.finish(claim, results(wanted(claim), SENT))


@pytest.mark.parametrize(("rate", "burst"), [(5.0, 1), (50.0, 5), (2_000.0, 200), (0.5, 1)])
async def test_the_burst_is_a_tenth_of_the_rate_unless_told_otherwise(
    records: Records, rate: float, burst: int
) -> None:
    await records.campaign(throttle=Throttle(rate_per_s=rate))
    await records.trigger(300)
    claim = await records.claim()
    assert claim.room == burst


async def test_what_is_heavier_than_a_burst_goes_when_the_burst_is_whole(records: Records) -> None:
    await records.campaign(throttle=SLOW)
    await records.trigger(3)
    worker = records.worker()
    claim = await records.claim(worker)
    heavy = [replace(want, weight=7) for want in wanted(claim)]
    opened = await worker.advance(claim, [], heavy)
    assert opened.permits == (Permit.YES, Permit.LATER, Permit.LATER)
    opened = await worker.advance(claim, [], heavy[1:])
    assert opened.permits == (Permit.LATER, Permit.LATER)


async def test_a_window_that_is_opened_twice_takes_its_permits_once(records: Records) -> None:
    await records.campaign(throttle=SLOW)
    await records.trigger(8)
    worker = records.worker()
    claim = await records.claim(worker)
    assert (await worker.advance(claim, [], wanted(claim, 0, 2))).permits == (Permit.YES,) * 2
    assert (await worker.advance(claim, [], wanted(claim, 0, 2))).permits == (Permit.YES,) * 2
    assert (await worker.advance(claim, [], wanted(claim, 2, 6))).permits == (Permit.YES,) * 3 + (Permit.LATER,) * 3


async def test_slots_of_those_who_are_gone_hold_nobody_up(records: Records) -> None:
    """Those before it were called off, or an operator raised the limit."""
    await records.campaign(throttle=Throttle(rate_per_s=1000, burst=5))
    await records.trigger(5)
    (ref,) = await records.jobs()
    far_us = 4_000_000_000_000_000
    await records.store.command("HSET", THROTTLE, "s", far_us)
    await records.store.command("HSET", key(0, "batch", ref.id), "bk", far_us)
    assert isinstance(await records.worker().claim(ref, lane=LANE), Claim)
    assert int(await records.store.command("HGET", THROTTLE, "s")) < far_us


async def test_a_message_that_takes_several_permits_is_not_asked_for_before_there_are_so_many(records: Records) -> None:
    await records.campaign(throttle=Throttle(rate_per_s=0.001, burst=10))
    await records.trigger(3)
    worker = records.worker()
    claim = await records.claim(worker)
    window = [replace(want, weight=4) for want in wanted(claim)]
    opened = await worker.advance(claim, [], window)
    assert opened.permits == (Permit.YES, Permit.YES, Permit.LATER)
    assert opened.wait_ms > 1_900_000, "two permits are there, the other two come in 2,000 s"
    await worker.finish(claim, results(window[:2], SENT))


async def test_a_message_heavier_than_a_burst_waits_for_a_whole_one_and_goes(records: Records) -> None:
    await records.campaign(throttle=Throttle(rate_per_s=0.001, burst=3))
    await records.trigger(2)
    worker = records.worker()
    claim = await records.claim(worker)
    window = [replace(want, weight=5) for want in wanted(claim)]
    opened = await worker.advance(claim, [], window)
    assert opened.permits == (Permit.YES, Permit.LATER)
    assert opened.wait_ms > 4_900_000
    await worker.finish(claim, results(window[:1], SENT))
