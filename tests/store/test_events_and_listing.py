"""Events in order with the account after each, and triggers listed by the time they were accepted."""

from __future__ import annotations

from clarion_core.domain.trigger import Counts, TriggerState
from clarion_core.store.events import EventStore
from clarion_core.store.keys import key
from support.records import EVERY, REFUSED, SENT, Records, deliver, results, wanted


async def test_a_group_of_outcomes_is_one_entry_with_the_account_after_it(records: Records) -> None:
    await records.campaign()
    one, two = records.item(2), records.item(1)
    await records.accept(one, two)
    worker = records.worker()
    claim = await records.claim(worker)
    window = wanted(claim)
    await worker.advance(claim, [], window)
    await worker.advance(claim, results(window[:1], SENT) + results(window[1:2], REFUSED), window[2:])
    await worker.finish(claim, results(window[2:], SENT))
    assert await records.store.command("XLEN", key(0, "events")) == 2
    first, second = await records.events()
    assert first.trigger == one.trigger_id
    assert first.state is TriggerState.COMPLETED
    assert first.counts == Counts(accepted=2, sent=1, failed=1) == await records.counts(one.trigger_id)
    assert [(move.delivery, move.state, move.attempts, move.reason) for move in first.moves] == [
        (window[0].delivery_id, "S", 1, ""),
        (window[1].delivery_id, "F", 1, "RECIPIENT_REFUSED"),
    ]
    assert (second.trigger, second.counts) == (two.trigger_id, Counts(accepted=1, sent=1))
    assert second.moves[0].delivery == window[2].delivery_id


async def test_a_snapshot_says_where_in_the_stream_it_stands(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(2)
    assert (await records.get(trigger)).event_id == "0-0"
    events = EventStore(records.store, records.store)
    worker = records.worker()
    await deliver(worker, await records.claim(worker))
    stored = await records.get(trigger)
    assert stored.event_id == await events.last_id(0)
    assert await events.between(0, stored.event_id, "+", EVERY) == []
    assert [event_id for event_id, _ in await events.wait(0, "0-0", EVERY)] == [stored.event_id]
    ((_, ours),) = await events.between(0, "0-0", "+", {trigger})
    assert {event.trigger for event in ours} == {trigger}
    assert await events.between(0, "0-0", "+", {"another"}) == [(stored.event_id, [])]


async def test_a_place_before_the_first_kept_entry_is_told(records: Records) -> None:
    await records.campaign()
    events = EventStore(records.store, records.store)
    assert await events.is_kept(0, "0-0")
    worker = records.worker()
    places = []
    for _ in range(3):
        await records.trigger()
        await deliver(worker, await records.claim(worker))
        places.append(await events.last_id(0))
    await records.store.command("XDEL", key(0, "events"), places[0])
    assert [await events.is_kept(0, place) for place in places] == [False, True, True]
    assert not await events.is_kept(0, "0-0")


async def test_triggers_are_listed_the_newest_first_and_in_pages_that_do_not_overlap(records: Records) -> None:
    await records.campaign()
    await records.accept(*(records.item() for _ in range(7)))  # all of the same millisecond
    for _ in range(3):
        await records.trigger()
    listed: list[tuple[int, str]] = []
    while page := await records.triggers.page("default/welcome", listed[-1] if listed else None, 4):
        listed += [(trigger.create_ms, trigger.id) for trigger in page]
    assert len(set(listed)) == 10
    assert listed == sorted(listed, reverse=True)
    assert await records.triggers.page("default/other", None, 4) == []


async def test_triggers_whose_time_is_over_do_not_end_a_page_early(records: Records) -> None:
    await records.campaign()
    triggers = [await records.trigger() for _ in range(6)]
    worker = records.worker()
    for ref in (await records.jobs())[2:5]:
        await deliver(worker, await records.claim(worker, ref))
    over = [trigger for trigger in triggers if (await records.get(trigger)).trigger.state.is_final]
    assert len(over) == 3
    for trigger in over:
        await records.store.command("DEL", key(0, "trigger", trigger), key(0, "head", trigger))
        await records.store.command("HINCRBY", key(0, "counts", "default/welcome"), "acc", -1)
        await records.store.command("HINCRBY", key(0, "counts", "default/welcome"), "S", -1)
    page = await records.triggers.page("default/welcome", None, 3)
    assert {trigger.id for trigger in page} == set(triggers) - set(over)


async def test_an_id_of_another_shard_or_of_nothing_is_not_found(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger()
    assert await records.triggers.get(trigger) is not None
    for unknown in ("", "zz" + trigger[2:], "00" + "0" * 25, "ü"):
        assert await records.triggers.get(unknown) is None


async def test_the_answer_to_a_cancel_is_remembered_by_its_request_id(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger()
    request = records.request()
    assert not await records.triggers.cancelled_by(trigger, "default", request)
    await records.triggers.remember_cancel(trigger, "default", request)
    assert await records.triggers.cancelled_by(trigger, "default", request)
    assert not await records.triggers.cancelled_by(trigger, "other", request)
