"""Triggers paused and resumed: what waits leaves its batches and comes back, once, with nothing lost in between."""

from __future__ import annotations

from collections import Counter

import pytest

from clarion_core.domain.campaign import Action
from clarion_core.domain.trigger import TriggerState
from clarion_core.store.batches import NotClaimed, Permit
from clarion_core.store.keys import key
from support.records import LANE, QUEUE, SENT, VIA, Records, deliver, results, retry_at, wanted


async def work_off(records: Records) -> None:
    """Deliver whatever can be claimed."""
    while jobs := await records.jobs():
        claim = await records.worker().claim(jobs[0], lane=LANE)
        if not isinstance(claim, NotClaimed):
            await deliver(records.worker(), claim)


async def test_a_paused_triggers_deliveries_are_set_aside_and_others_go_on(records: Records) -> None:
    await records.campaign()
    held, other = records.item(3), records.item(2)
    await records.accept(held, other)
    assert await records.triggers.pause(held.trigger_id) is TriggerState.RUNNING
    await work_off(records)
    assert (await records.states(held.trigger_id), await records.states(other.trigger_id)) == ("QQQ", "SS")
    assert (await records.get(held.trigger_id)).trigger.state is TriggerState.PAUSED
    assert await records.triggers.resume(held.trigger_id) is TriggerState.PAUSED
    await work_off(records)
    assert (await records.get(held.trigger_id)).trigger.state is TriggerState.COMPLETED
    assert {record.attempts for record in await records.deliveries(held.trigger_id)} == {1}


async def test_a_pause_bites_between_two_windows(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(4)
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim, 0, 2))
    await records.triggers.pause(trigger)
    opened = await worker.advance(claim, results(wanted(claim, 0, 2), SENT), wanted(claim, 2, 2))
    assert opened.permits == (Permit.NO, Permit.NO)
    await worker.finish(claim, [])
    assert await records.jobs() == []
    assert await records.states(trigger) == "SSQQ"
    await records.triggers.resume(trigger)
    await work_off(records)
    assert await records.states(trigger) == "SSSS"


async def test_a_thousand_are_resumed_in_parts_each_once(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(1000)
    await records.triggers.pause(trigger)
    for ref in await records.jobs():
        assert await records.worker().claim(ref, lane=LANE) is NotClaimed.EMPTY
    await records.triggers.resume(trigger)
    assert len(await records.jobs()) == 10
    await work_off(records)
    assert Counter(await records.states(trigger)) == {"S": 1000}
    assert {record.attempts for record in await records.deliveries(trigger)} == {1}


async def test_an_attempt_that_is_due_later_is_still_due_then_after_a_pause(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(2)
    due_ms = 4_000_000_000_000
    await deliver(records.worker(), await records.claim(), retry_at(due_ms))
    await records.triggers.pause(trigger)
    assert await records.worker().claim((await records.jobs())[0], lane=LANE) is NotClaimed.EMPTY
    await records.triggers.resume(trigger)
    assert {record.due_ms for record in await records.deliveries(trigger)} == {due_ms}
    (ref,) = await records.jobs()
    assert await records.store.command("ZSCORE", key(0, "queue", QUEUE), f"{{0}}:{VIA}:{ref.id}:1") == due_ms


async def test_a_paused_trigger_can_be_cancelled(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(3)
    await records.triggers.pause(trigger)
    assert await records.worker().claim((await records.jobs())[0], lane=LANE) is NotClaimed.EMPTY
    assert await records.triggers.cancel(trigger) is TriggerState.PAUSED
    assert (await records.get(trigger)).trigger.state is TriggerState.CANCELLED
    assert not await records.upkeep.give_out_held(0)
    assert await records.store.command("SCARD", key(0, "held")) == 0


async def test_stopping_the_campaign_ends_what_a_paused_trigger_holds(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(3)
    await records.triggers.pause(trigger)
    assert await records.worker().claim((await records.jobs())[0], lane=LANE) is NotClaimed.EMPTY
    await records.act(Action.STOP)
    await work_off(records)
    assert await records.states(trigger) == "CCC"


async def test_the_sweep_ends_a_resume_that_was_cut_off(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(300)
    await records.triggers.pause(trigger)
    for ref in await records.jobs():
        await records.worker().claim(ref, lane=LANE)
    await records.store.call("resume", 0, trigger=trigger, first=True, limit=100, retention_s=86_400)
    assert await records.upkeep.give_out_held(0) is False
    await work_off(records)
    assert Counter(await records.states(trigger)) == {"S": 300}
    assert await records.store.command("SCARD", key(0, "held")) == 0


@pytest.mark.parametrize("again", [1, 3])
async def test_pausing_and_resuming_again_change_nothing(records: Records, again: int) -> None:
    await records.campaign()
    trigger = await records.trigger(3)
    for _ in range(again):
        await records.triggers.pause(trigger)
    for ref in await records.jobs():
        await records.worker().claim(ref, lane=LANE)
    for _ in range(again):
        await records.triggers.resume(trigger)
    await work_off(records)
    assert {record.attempts for record in await records.deliveries(trigger)} == {1}


async def test_a_finished_trigger_is_neither_paused_nor_resumed(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(1)
    await work_off(records)
    assert await records.triggers.pause(trigger) is TriggerState.COMPLETED
    assert await records.triggers.resume(trigger) is TriggerState.COMPLETED
    assert (await records.get(trigger)).trigger.state is TriggerState.COMPLETED


async def test_what_was_handed_over_when_the_trigger_was_paused_completes_it(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(1)
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim))
    await records.triggers.pause(trigger)
    await worker.finish(claim, results(wanted(claim), SENT))
    assert (await records.get(trigger)).trigger.state is TriggerState.COMPLETED


async def test_a_pause_in_the_midst_of_a_resume_holds(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(300)
    await records.triggers.pause(trigger)
    for ref in await records.jobs():
        await records.worker().claim(ref, lane=LANE)
    request = {"trigger": trigger, "limit": 100, "retention_s": 86_400}
    assert await records.store.call("resume", 0, first=True, **request) == [b"P", 0]
    await records.triggers.pause(trigger)
    assert await records.store.call("resume", 0, first=False, **request) == [b"P", 1]
    assert (await records.get(trigger)).trigger.state is TriggerState.PAUSED
    await records.triggers.resume(trigger)
    await work_off(records)
    assert Counter(await records.states(trigger)) == {"S": 300}
