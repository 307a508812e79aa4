"""Triggers cancelled, campaigns paused and stopped: what waits ends or is parked, what is being sent goes on."""

from __future__ import annotations

import asyncio

import pytest

from clarion_core.domain.campaign import Action, AmbiguityPolicy
from clarion_core.domain.delivery import DeliveryState, Reason
from clarion_core.domain.trigger import TriggerState
from clarion_core.store.batches import BatchRef, NotClaimed, Step
from clarion_core.store.keys import key
from support.records import (
    LANE,
    QUEUE,
    REFUSED,
    SENT,
    Records,
    deliver,
    results,
    retry_at,
    wanted,
)


async def test_what_waits_is_cancelled_at_once(records: Records) -> None:
    campaign = await records.campaign()
    trigger, other = records.item(3), records.item(2)
    await records.accept(trigger, other)
    assert await records.triggers.cancel(trigger.trigger_id) is TriggerState.RUNNING
    stored = (await records.get(trigger.trigger_id)).trigger
    assert (stored.state, stored.counts.cancelled) == (TriggerState.CANCELLED, 3)
    assert {record.reason for record in await records.deliveries(trigger.trigger_id)} == {Reason.TRIGGER_CANCELLED}
    claim = await records.claim()
    assert {each.trigger_id for each in claim.deliveries} == {other.trigger_id}
    await deliver(records.worker(), claim)
    assert (await records.campaigns.counts(campaign.key)).cancelled == 3


async def test_a_thousand_recipients_are_cancelled_over_all_their_pages(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(1000)
    worker = records.worker()
    claim = await records.claim(worker, (await records.jobs())[7])
    await worker.advance(claim, [], wanted(claim, 10, 30))
    assert await records.triggers.cancel(trigger) is TriggerState.RUNNING
    assert (await records.counts(trigger)).cancelled == 970
    assert (await records.get(trigger)).trigger.state is TriggerState.CANCELLING
    await worker.finish(claim, results(wanted(claim, 10, 30), SENT))
    stored = (await records.get(trigger)).trigger
    assert (stored.state, stored.counts.sent, stored.counts.cancelled) == (TriggerState.CANCELLED, 30, 970)
    assert {await worker.claim(ref, lane=LANE) for ref in await records.jobs()} == {NotClaimed.EMPTY}
    assert await records.jobs() == []


async def test_a_cancelled_delivery_is_not_opened_any_more(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(3)
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim, 0, 1))
    await records.triggers.cancel(trigger)
    opened = await worker.advance(claim, results(wanted(claim, 0, 1), SENT), wanted(claim, 1, 2))
    assert (opened.step, opened.permits) == (Step.OPENED, (False, False))
    assert (await worker.finish(claim, [])).step is Step.CLOSED
    assert await records.states(trigger) == "SCC"


@pytest.mark.parametrize("call_off", ["trigger", "campaign"])
@pytest.mark.parametrize(("ambiguous", "state"), [(False, "C"), (True, "A")])
async def test_a_retry_of_what_was_called_off_ends_instead(
    records: Records, call_off: str, ambiguous: bool, state: str
) -> None:
    await records.campaign()
    trigger = await records.trigger()
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim))
    await _call_off(records, call_off, trigger)
    await worker.finish(claim, results(wanted(claim), retry_at(1, ambiguous=ambiguous)))
    (record,) = await records.deliveries(trigger)
    assert record.state.value == state
    assert record.ambiguous_attempts == int(ambiguous)
    assert await records.jobs() == []
    assert (await records.get(trigger)).trigger.state is TriggerState.CANCELLED


async def test_a_delivery_that_waits_for_its_retry_is_cancelled(records: Records) -> None:
    await records.campaign()
    trigger, other = records.item(2), records.item(1)
    await records.accept(trigger, other)
    worker = records.worker()
    await deliver(worker, await records.claim(worker), retry_at(1))
    await records.triggers.cancel(trigger.trigger_id)
    assert await records.states(trigger.trigger_id) == "CC"
    claim = await records.claim(worker)
    assert [each.trigger_id for each in claim.deliveries] == [other.trigger_id]


async def test_cancelling_again_is_told_how_it_ended(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger()
    assert await records.triggers.cancel(trigger) is TriggerState.RUNNING
    assert await records.triggers.cancel(trigger) is TriggerState.CANCELLED
    before = await records.jobs()
    sent = await records.trigger()
    (ref,) = set(await records.jobs()) - set(before)
    await deliver(records.worker(), await records.claim(ref=ref))
    assert await records.triggers.cancel(sent) is TriggerState.COMPLETED
    assert await records.states(sent) == "S"
    assert await records.triggers.cancel("00" + "0" * 25) is None


async def test_a_cancel_that_is_sent_twice_is_not_taken_for_a_second_one(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger()
    request = {"trigger": trigger, "retention_s": 86_400, "from": 0, "pages": 5}
    first = await records.store.call("cancel", 0, call="one", **request)
    again = await records.store.call("cancel", 0, call="one", **request)
    other = await records.store.call("cancel", 0, call="two", **request)
    assert not TriggerState(first[0].decode()).is_final
    assert not TriggerState(again[0].decode()).is_final
    assert TriggerState(other[0].decode()) is TriggerState.CANCELLED
    assert (await records.counts(trigger)).cancelled == 1


async def test_a_paused_campaigns_batch_is_parked_and_given_out_once(records: Records) -> None:
    campaign = await records.campaign()
    trigger = await records.trigger(2)
    (ref,) = await records.jobs()
    await records.act(Action.PAUSE)
    assert await records.worker().claim(ref, lane=LANE) is NotClaimed.PARKED
    assert await records.worker().claim(ref, lane=LANE) is NotClaimed.STALE
    assert (await records.jobs(), await records.states(trigger)) == ([], "QQ")
    assert (await records.get(trigger)).trigger.state is TriggerState.PAUSED
    await records.look_at(ref.id)
    assert await records.sweep() == []
    await records.act(Action.RESUME)
    (again,) = await records.jobs()
    assert (again.id, again.epoch) == (ref.id, 2)
    assert await records.store.call("unpark", 0, campaign=campaign.key, limit=100) == 0
    assert await records.jobs() == [again]
    await deliver(records.worker(), await records.claim())
    assert await records.states(trigger) == "SS"


async def test_a_window_that_would_open_under_a_paused_campaign_does_not(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(3)
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim, 0, 1))
    await records.act(Action.PAUSE)
    opened = await worker.advance(claim, results(wanted(claim, 0, 1), SENT), wanted(claim, 1, 2))
    assert opened.step is Step.PAUSED
    assert (await worker.finish(claim, [])).step is Step.HANDED_BACK
    assert (await records.jobs(), await records.states(trigger)) == ([], "SQQ")
    await records.act(Action.RESUME)
    claim = await records.claim(worker)
    assert len(claim.deliveries) == 2
    await deliver(worker, claim)
    assert await records.states(trigger) == "SSS"


async def test_a_retry_that_comes_due_under_a_paused_campaign_waits(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger()
    worker = records.worker()
    await deliver(worker, await records.claim(worker), retry_at(1))
    await records.act(Action.PAUSE)
    assert await worker.claim((await records.jobs())[0], lane=LANE) is NotClaimed.PARKED
    await records.act(Action.RESUME)
    await deliver(worker, await records.claim(worker))
    assert await records.states(trigger) == "S"


async def test_a_dead_workers_batch_is_settled_and_parked(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(2)
    claim = await records.claim()
    await records.worker().advance(claim, [], wanted(claim, 0, 1))
    await records.act(Action.PAUSE)
    await records.lapse(claim.ref.id)
    assert await records.sweep() == [(claim.ref.id, "RECOVERED")]
    assert (await records.jobs(), await records.states(trigger)) == ([], "QQ")
    await records.act(Action.RESUME)
    assert (await records.claim()).ref.epoch == 2


async def test_the_sweep_gives_out_what_a_resume_left_parked(records: Records) -> None:
    campaign = await records.campaign()
    trigger = await records.trigger()
    (ref,) = await records.jobs()
    await records.act(Action.PAUSE)
    await records.worker().claim(ref, lane=LANE)
    gate = {"campaign": campaign.key, "version": 99, "state": "L", "revision": 1, "throttle": "", "kept_ms": 0}
    await records.store.call("gate", 0, **gate)
    await records.look_at(ref.id)
    assert await records.sweep() == [(ref.id, "UNPARKED")]
    await deliver(records.worker(), await records.claim())
    assert await records.states(trigger) == "S"
    assert await records.store.command("EXISTS", key(0, "parked", campaign.key)) == 0


async def test_many_parked_batches_are_all_given_out(records: Records) -> None:
    await records.campaign()
    triggers = [await records.trigger() for _ in range(230)]
    refs = await records.jobs()
    await records.act(Action.PAUSE)
    assert {await records.worker().claim(ref, lane=LANE) for ref in refs} == {NotClaimed.PARKED}
    await records.act(Action.RESUME)
    assert len(await records.jobs()) == len(triggers)


async def test_a_stopped_campaigns_work_is_cancelled_where_it_waits(records: Records) -> None:
    campaign = await records.campaign()
    waiting, retrying, parked, sending = [records.item(2) for _ in range(4)]
    refs: list[BatchRef] = []
    for item in (waiting, retrying, parked, sending):
        await records.accept(item)
        refs += [ref for ref in await records.jobs() if ref not in refs]
    worker = records.worker()
    await deliver(worker, await records.claim(worker, refs[1]), retry_at(1))
    claim = await records.claim(worker, refs[3])
    await worker.advance(claim, [], wanted(claim, 0, 1))
    await records.act(Action.PAUSE)
    await worker.claim(refs[2], lane=LANE)
    await records.act(Action.STOP)
    opened = await worker.advance(claim, results(wanted(claim, 0, 1), SENT), wanted(claim, 1, 1))
    assert opened.permits == (False,)
    assert (await worker.finish(claim, [])).step is Step.CLOSED
    for ref in await records.jobs():
        assert await worker.claim(ref, lane=LANE) is NotClaimed.EMPTY
    states = [await records.states(item.trigger_id) for item in (waiting, retrying, parked, sending)]
    assert states == ["CC", "CC", "CC", "SC"]
    assert {record.reason for record in await records.deliveries(parked.trigger_id)} == {Reason.CAMPAIGN_STOPPED}
    assert (await records.get(waiting.trigger_id)).trigger.state is TriggerState.CANCELLED
    assert (await records.campaigns.counts(campaign.key)).in_flight == 0


@pytest.mark.parametrize("call_off", ["trigger", "campaign"])
@pytest.mark.parametrize("conclusion", [SENT, REFUSED])
async def test_a_definite_outcome_counts_even_if_it_was_called_off_meanwhile(
    records: Records, call_off: str, conclusion: object
) -> None:
    await records.campaign()
    trigger = await records.trigger()
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim))
    await _call_off(records, call_off, trigger)
    end = SENT if conclusion is SENT else REFUSED
    await worker.finish(claim, results(wanted(claim), end))
    assert [record.state for record in await records.deliveries(trigger)] == [end.state]


async def test_cancelling_races_with_sending_and_everyone_is_accounted_for(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(500)
    worker = records.worker()
    refs = await records.jobs()

    async def send(number: int) -> None:
        claim = await worker.claim(refs[number], lane=LANE)
        if not isinstance(claim, NotClaimed):
            await deliver(worker, claim)

    await asyncio.gather(*(send(number) for number in range(5)), records.triggers.cancel(trigger))
    states = await records.states(trigger)
    assert set(states) <= {"S", "C"}
    assert (await records.get(trigger)).trigger.state.is_final
    assert DeliveryState.QUEUED.value not in states


async def _call_off(records: Records, what: str, trigger: str) -> None:
    if what == "trigger":
        await records.triggers.cancel(trigger)
    else:
        await records.act(Action.STOP)


async def test_a_stopped_campaigns_retries_are_called_off_now_and_not_when_due(records: Records) -> None:
    await records.campaign()
    triggers = [await records.trigger(3) for _ in range(3)]
    worker = records.worker()
    now_ms = (await records.get(triggers[0])).trigger.create_ms
    for hours, ref in enumerate(await records.jobs(), start=1):
        await deliver(worker, await records.claim(worker, ref), retry_at(now_ms + 3_600_000 * hours))
    await records.act(Action.STOP)
    due = await records.store.command("ZCOUNT", key(0, "queue", QUEUE), "-inf", now_ms + 3_600_000 - 1)
    assert due == len(triggers)
    for ref in await records.jobs():
        assert await worker.claim(ref, lane=LANE) is NotClaimed.EMPTY
    assert [await records.states(trigger) for trigger in triggers] == ["CCC"] * 3
    assert {record.due_ms for trigger in triggers for record in await records.deliveries(trigger)} == {0}


async def test_a_stopped_campaigns_work_that_nobody_claims_is_called_off_by_the_sweep(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(3, configuration="default/gone")
    [ref] = await records.jobs()
    await records.look_at(ref.id)
    assert await records.sweep() == []
    assert await records.states(trigger) == "QQQ"
    await records.act(Action.STOP)
    await records.look_at(ref.id)
    assert await records.sweep() == []
    assert await records.states(trigger) == "CCC"
    assert await records.jobs() == []
    assert (await records.get(trigger)).trigger.state.is_final


async def test_only_what_waits_for_its_next_attempt_has_a_time_for_it(records: Records) -> None:
    await records.campaign(ambiguity_policy=AmbiguityPolicy.AT_MOST_ONCE)
    trigger = await records.trigger()
    worker = records.worker()
    now_ms = (await records.get(trigger)).trigger.create_ms
    await deliver(worker, await records.claim(worker), retry_at(now_ms + 1))
    assert [record.due_ms > now_ms for record in await records.deliveries(trigger)] == [True]
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim))
    assert [record.due_ms for record in await records.deliveries(trigger)] == [0]


async def test_a_campaign_that_is_live_again_has_its_retries_left_alone(records: Records) -> None:
    campaign = await records.campaign()
    trigger = await records.trigger()
    worker = records.worker()
    due_ms = (await records.get(trigger)).trigger.create_ms + 3_600_000
    await deliver(worker, await records.claim(worker), retry_at(due_ms))
    queued = ("ZRANGE", key(0, "queue", QUEUE), 0, -1, "WITHSCORES")
    before = await records.store.command(*queued)
    assert await records.store.call("hurry", 0, campaign=campaign.key, cursor=0, count=100) == 0
    assert await records.store.command(*queued) == before
