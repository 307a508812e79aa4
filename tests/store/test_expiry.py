"""Triggers that expire: nothing is opened after their time, wherever the delivery waits."""

from __future__ import annotations

import pytest

from clarion_core.domain.campaign import Action
from clarion_core.domain.delivery import DeliveryState, Reason
from clarion_core.domain.trigger import TriggerState
from clarion_core.store.batches import NotClaimed, Permit
from clarion_core.store.keys import key
from support.records import LANE, NOT_HANDED_OVER, SENT, UNKNOWN, Records, deliver, results, retry_at, wanted

FAR_MS = 4_000_000_000_000
PAST_MS = 1


async def over(records: Records, *triggers: str) -> None:
    """Let these triggers' time be over."""
    for trigger in triggers:
        await records.store.command("HSET", key(0, "trigger", trigger), "x", PAST_MS)
        await records.store.command("ZADD", key(0, "expiring"), "XX", PAST_MS, trigger)


async def ended(records: Records, trigger: str, *, expired: int, sent: int = 0) -> None:
    """The trigger is complete, with these counts."""
    stored = (await records.get(trigger)).trigger
    assert (stored.state, stored.counts.expired, stored.counts.sent) == (TriggerState.COMPLETED, expired, sent)
    assert await records.store.command("ZSCORE", key(0, "expiring"), trigger) is None


async def test_a_trigger_expires_at_the_earlier_of_its_own_time_and_the_campaigns(records: Records) -> None:
    await records.campaign()
    own, campaigns, both, never = (
        await records.trigger(expire_ms=FAR_MS),
        await records.trigger(time_to_live_ms=60_000),
        await records.trigger(expire_ms=FAR_MS, time_to_live_ms=60_000),
        await records.trigger(),
    )
    stored = {trigger: (await records.get(trigger)).trigger for trigger in (own, campaigns, both, never)}
    assert stored[own].expire_ms == FAR_MS
    assert stored[never].expire_ms == 0
    for trigger in (campaigns, both):
        assert stored[trigger].expire_ms == stored[trigger].create_ms + 60_000


async def test_what_has_expired_is_not_claimed(records: Records) -> None:
    await records.campaign()
    late, other = records.item(3, expire_ms=FAR_MS), records.item(2)
    await records.accept(late, other)
    await over(records, late.trigger_id)
    claim = await records.claim()
    assert {each.trigger_id for each in claim.deliveries} == {other.trigger_id}
    assert {record.reason for record in await records.deliveries(late.trigger_id)} == {Reason.EXPIRED}
    await ended(records, late.trigger_id, expired=3)


async def test_what_expires_after_it_was_claimed_is_not_opened(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(3, expire_ms=FAR_MS)
    worker = records.worker()
    claim = await records.claim(worker)
    assert claim.expires_ms == {trigger: FAR_MS}
    await worker.advance(claim, [], wanted(claim, 0, 1))
    await over(records, trigger)
    opened = await worker.advance(claim, results(wanted(claim, 0, 1), SENT), wanted(claim, 1, 2))
    assert opened.permits == (Permit.NO, Permit.NO)
    assert await records.states(trigger) == "SEE"
    await ended(records, trigger, expired=2, sent=1)


@pytest.mark.parametrize("due_ms", [FAR_MS, FAR_MS + 1])
async def test_no_attempt_is_planned_for_a_time_when_it_has_expired(records: Records, due_ms: int) -> None:
    await records.campaign()
    trigger = await records.trigger(expire_ms=FAR_MS)
    await deliver(records.worker(), await records.claim(), retry_at(due_ms))
    [record] = await records.deliveries(trigger)
    assert (record.state, record.reason, record.attempts) == (DeliveryState.EXPIRED, Reason.EXPIRED, 1)
    await ended(records, trigger, expired=1)


async def test_what_may_have_left_before_it_expired_is_called_ambiguous(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(expire_ms=FAR_MS)
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim))
    await over(records, trigger)
    await worker.finish(claim, results(wanted(claim), retry_at(FAR_MS, ambiguous=True)))
    assert await records.states(trigger) == "A"


async def test_what_waits_for_its_next_attempt_expires_without_it(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(150, expire_ms=FAR_MS)
    for _ in range(2):
        await deliver(records.worker(), await records.claim(), retry_at(FAR_MS - 1))
    await over(records, trigger)
    assert not await records.upkeep.expire(0)
    await ended(records, trigger, expired=150)
    for ref in await records.jobs():
        assert await records.worker().claim(ref, lane=LANE) is NotClaimed.EMPTY


@pytest.mark.parametrize("paused", ["campaign", "trigger"])
async def test_what_is_paused_expires_in_its_time(records: Records, paused: str) -> None:
    await records.campaign()
    trigger = await records.trigger(3, expire_ms=FAR_MS)
    (ref,) = await records.jobs()
    if paused == "campaign":
        await records.act(Action.PAUSE)
    else:
        await records.triggers.pause(trigger)
    assert await records.worker().claim(ref, lane=LANE) in (NotClaimed.PARKED, NotClaimed.EMPTY)
    await over(records, trigger)
    assert not await records.upkeep.expire(0)
    await ended(records, trigger, expired=3)


async def test_what_is_being_handed_over_when_its_time_is_over_keeps_its_outcome(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(2, expire_ms=FAR_MS)
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim, 0, 1))
    await over(records, trigger)
    assert not await records.upkeep.expire(0)
    assert await records.states(trigger) == "GE"
    await worker.finish(claim, results(wanted(claim, 0, 1), SENT))
    assert await records.states(trigger) == "SE"


async def test_many_expire_in_parts(records: Records) -> None:
    await records.campaign()
    triggers = [await records.trigger(300, expire_ms=FAR_MS) for _ in range(3)]
    await over(records, *triggers)
    turns = 1
    while await records.upkeep.expire(0):
        turns += 1
    assert turns == 2
    for trigger in triggers:
        await ended(records, trigger, expired=300)


async def test_an_expired_trigger_is_not_redriven_by_a_take_over(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(expire_ms=FAR_MS)
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim))
    await over(records, trigger)
    await records.lapse(claim.ref.id)
    await records.sweep()
    assert await records.states(trigger) == "A"
    assert (await records.deliveries(trigger))[0].reason is UNKNOWN.reason


async def test_what_is_handed_back_after_its_time_expires_too(records: Records) -> None:
    """Its campaign is paused, so that nobody comes for it but the sweep."""
    await records.campaign()
    trigger = await records.trigger(2, expire_ms=FAR_MS)
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim, 0, 1))
    await records.act(Action.PAUSE)
    await over(records, trigger)
    assert not await records.upkeep.expire(0)
    await worker.finish(claim, results(wanted(claim, 0, 1), NOT_HANDED_OVER))
    assert await records.states(trigger) == "QE"
    await over(records, trigger)
    assert not await records.upkeep.expire(0)
    await ended(records, trigger, expired=2)


async def test_a_large_trigger_expires_a_few_pages_a_call(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(3_000, expire_ms=FAR_MS)
    await over(records, trigger)
    await records.store.command("CONFIG", "RESETSTAT")
    while await records.upkeep.expire(0):
        pass
    await ended(records, trigger, expired=3_000)
    calls = (await records.store.command("INFO", "commandstats"))["cmdstat_hgetall"]["calls"]
    assert calls <= 2 * 30, "each of 30 pages is read when its time has come, and not once a call"
