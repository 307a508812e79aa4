"""Dead letters: found by trigger, sent again with the same id, or discarded; the account follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clarion_core.domain.delivery import DeliveryState, Reason
from clarion_core.domain.medium import Medium
from clarion_core.domain.trigger import TriggerState
from clarion_core.store.batches import BatchRef
from clarion_core.store.dead_letters import GONE, DeadLetterStore
from clarion_core.store.keys import key
from support.records import LANE, NOT_HANDED_OVER, REFUSED, SENT, UNKNOWN, VIA, Records, deliver, results, wanted

KEY = "default/welcome"
LIKE: dict[str, Any] = {
    "campaign": KEY,
    "revision": 1,
    "lane": LANE,
    "policy": "L100",
    "configurations": {Medium.EMAIL: "email"},
}


@pytest.fixture
def dead(records: Records) -> DeadLetterStore:
    return DeadLetterStore(records.store, 1, 86_400)


async def failed(records: Records, count: int = 3, sent: int = 1) -> tuple[str, list[str]]:
    """A trigger that is complete, its first `sent` deliveries SENT, the others FAILED; and their ids."""
    trigger = await records.trigger(count)
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim))
    ends = results(wanted(claim, 0, sent), SENT) + results(wanted(claim, sent), REFUSED)
    await worker.finish(claim, ends)
    return trigger, [each.id for each in claim.deliveries]


async def listed(dead: DeadLetterStore) -> list[str]:
    return [trigger for _, trigger in await dead.triggers(KEY, None, 100)]


async def test_triggers_with_dead_letters_are_listed_in_the_order_they_died(
    records: Records, dead: DeadLetterStore
) -> None:
    await records.campaign()
    triggers = [(await failed(records))[0] for _ in range(3)]
    await deliver(records.worker(), await records.claim(ref=(await accepted(records))))
    entries = await dead.triggers(KEY, None, 2)
    assert sorted(trigger for _, trigger in entries + await dead.triggers(KEY, entries[-1], 2)) == sorted(triggers)


async def accepted(records: Records) -> BatchRef:
    await records.trigger()
    return (await records.jobs())[0]


async def test_what_is_redriven_goes_out_again_under_its_id_and_revision(
    records: Records, dead: DeadLetterStore
) -> None:
    await records.campaign()
    trigger, ids = await failed(records)
    assert await dead.redrive(trigger, ids, **LIKE) == 2
    stored = (await records.get(trigger)).trigger
    assert (stored.state, stored.counts.in_flight, stored.counts.failed) == (TriggerState.RUNNING, 2, 0)
    assert stored.finish_ms == 0
    assert await listed(dead) == []
    claim = await records.claim()
    assert ([each.id for each in claim.deliveries], claim.revision) == (ids[1:], 1)
    assert {(each.record.attempts, each.record.state) for each in claim.deliveries} == {(0, DeliveryState.QUEUED)}
    assert all(each.record.since_ms for each in claim.deliveries)
    await deliver(records.worker(), claim)
    assert await records.states(trigger) == "SSS"
    assert (await records.get(trigger)).trigger.state is TriggerState.COMPLETED


async def test_a_redriven_triggers_records_stay_until_it_ends_again(records: Records, dead: DeadLetterStore) -> None:
    await records.campaign()
    trigger, ids = await failed(records)
    await dead.redrive(trigger, ids, **LIKE)
    kept = await records.keys()
    assert {kept[f"{{0}}:{kind}:{trigger}"] for kind in "th"} == {-1}
    assert {ttl for name, ttl in kept.items() if name.startswith(("{0}:p:", "{0}:l:"))} == {-1}
    assert await records.store.command("ZCARD", key(0, "ended")) == 0
    await deliver(records.worker(), await records.claim())
    assert (await records.keys())[f"{{0}}:t:{trigger}"] == 86_400


async def test_a_call_sent_twice_redrives_once(records: Records) -> None:
    await records.campaign()
    trigger, ids = await failed(records)
    like = {"c": KEY, "rev": 1, "l": LANE, "pol": "L100"}
    request = {"trigger": trigger, "call": "one", "refs": ids, "like": like, "vias": {"e": VIA}, "retention_s": 86_400}
    assert await records.store.call("redrive", 0, **request) == 2
    await deliver(records.worker(), await records.claim(), REFUSED)
    assert await records.store.call("redrive", 0, **request) == 2
    assert await records.states(trigger) == "SFF"
    assert await records.store.call("redrive", 0, **request | {"call": "two"}) == 2


async def test_an_ambiguous_one_keeps_its_ambiguous_attempts(records: Records, dead: DeadLetterStore) -> None:
    await records.campaign()
    trigger = await records.trigger()
    claim = await records.claim()
    await deliver(records.worker(), claim, UNKNOWN)
    assert await listed(dead) == [trigger]
    assert await dead.redrive(trigger, [claim.deliveries[0].id], **LIKE) == 1
    await deliver(records.worker(), await records.claim())
    [record] = await records.deliveries(trigger)
    assert (record.state, record.ambiguous_attempts, record.attempts) == (DeliveryState.SENT, 1, 1)


@pytest.mark.parametrize("how", ["cancelled", "expired", "unknown"])
async def test_what_may_not_go_on_is_not_redriven(records: Records, dead: DeadLetterStore, how: str) -> None:
    await records.campaign()
    trigger = await records.trigger(2, expire_ms=4_000_000_000_000)
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim))
    if how == "cancelled":
        await records.triggers.cancel(trigger)
    await worker.finish(claim, results(wanted(claim), REFUSED))
    if how == "expired":
        await records.store.command("HSET", key(0, "trigger", trigger), "x", 1)
    name = "0" * 27 if how == "unknown" else trigger
    assert await dead.redrive(name, [each.id for each in claim.deliveries], **LIKE) == GONE
    assert await records.states(trigger) == "FF"


async def test_what_was_discarded_is_off_the_list_and_says_why(records: Records, dead: DeadLetterStore) -> None:
    await records.campaign()
    trigger, ids = await failed(records)
    assert await dead.discard(trigger, ids[1:2], campaign=KEY, reason="a wrong address|twice") == 1
    assert await listed(dead) == [trigger]
    assert await dead.discard(trigger, ids, campaign=KEY, reason="all the same") == 1
    assert await listed(dead) == []
    place = (await records.get(trigger)).placement
    found = await records.triggers.deliveries(trigger, place, 0, 10)
    assert [each.discard_reason for each in found] == ["", "a wrong address|twice", "all the same"]
    assert [bool(each.discard_ms) for each in found] == [False, True, True]
    assert await dead.redrive(trigger, ids, **LIKE) == 0
    assert {ttl for name, ttl in (await records.keys()).items() if name.startswith("{0}:dd:")} <= {86_399, 86_400}


async def test_a_correction_takes_a_trigger_off_the_list(records: Records, dead: DeadLetterStore) -> None:
    """The worker that was fenced out knows better."""
    await records.campaign()
    trigger = await records.trigger()
    worker = records.worker()
    await records.store.command("HSET", key(0, "batch", (await records.jobs())[0].id), "pol", "M1")
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim))
    await records.lapse(claim.ref.id)
    await records.sweep()
    assert (await records.states(trigger), await listed(dead)) == ("A", [trigger])
    await worker.finish(claim, results(wanted(claim), SENT))
    assert (await records.states(trigger), await listed(dead)) == ("S", [])


async def test_the_list_forgets_a_trigger_when_its_lifetime_is_over(records: Records, dead: DeadLetterStore) -> None:
    await records.campaign()
    trigger, _ = await failed(records)
    await records.store.command("DEL", key(0, "trigger", trigger), key(0, "head", trigger))
    for page in {name for name in await records.keys() if name.startswith(("{0}:p:", "{0}:l:"))}:
        await records.store.command("DEL", f"clarion:{page}")
    await records.store.command("DEL", key(0, "counts", KEY))
    await records.store.command("ZADD", key(0, "ended"), 1, f"{KEY} {trigger}")
    await records.upkeep.trim_index(0)
    assert await listed(dead) == []


async def test_what_went_on_to_another_provider_has_spent_an_attempt(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger()
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim))
    went_on = replace(NOT_HANDED_OVER, reason=Reason.PROVIDER_UNREACHABLE)
    await worker.advance(claim, results(wanted(claim), went_on))
    [record] = await records.deliveries(trigger)
    assert (record.state, record.attempts) == (DeliveryState.QUEUED, 1)
    again = [replace(want, attempt=2) for want in wanted(claim)]
    assert (await worker.advance(claim, [], again)).permits == (1,)
    await worker.finish(claim, results(again, SENT))
    assert (await records.deliveries(trigger))[0].attempts == 2


async def test_a_page_with_something_to_send_again_stays(records: Records, dead: DeadLetterStore) -> None:
    """Two triggers share a page, and the one that goes on elsewhere has a dead letter on it."""
    await records.campaign()
    first, second = records.item(60), records.item(60)
    await records.accept(first, second)
    worker = records.worker()
    refs = await records.jobs()
    shared, last = sorted(refs, key=lambda ref: ref.id)
    claim = await records.claim(worker, shared)
    await deliver(worker, claim, REFUSED)
    ids = [each.id for each in claim.deliveries if each.trigger_id == second.trigger_id]
    assert await dead.redrive(second.trigger_id, ids[:1], **LIKE) == 1
    assert (await records.keys())[f"{{0}}:l:{shared.id}"] == (await records.keys())[f"{{0}}:p:{shared.id}"] == -1
    for ref in await records.jobs():
        await deliver(worker, await records.claim(worker, ref))
    assert (await records.keys())[f"{{0}}:l:{shared.id}"] == 86_400
    assert last.id in {name.removeprefix("{0}:l:") for name in await records.keys()}
