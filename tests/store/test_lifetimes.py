"""Every record has a lifetime: what a finished trigger leaves behind, and for how long."""

from __future__ import annotations

import pytest

from clarion_core.domain.campaign import Action
from clarion_core.store.keys import LIMITS, key
from support.records import LANE, NEWS, RETENTION_S, Records, deliver, retry_at

FOR_GOOD = -1
DAY_S = 86_400
CAMPAIGN = {
    "{control}:c:default/welcome": FOR_GOOD,
    "{control}:ci:default": FOR_GOOD,
    "{control}:r:default/welcome:1": FOR_GOOD,
    "{control}:rq:default:request-1": DAY_S,
    "{0}:g:default/welcome": FOR_GOOD,
    "{0}:accounts": FOR_GOOD,
}
SHARD = {
    "{0}:n:default/welcome": FOR_GOOD,
    "{0}:i:default/welcome": FOR_GOOD,
    "{0}:ev": FOR_GOOD,
    f"{{0}}:w:{NEWS}": FOR_GOOD,
}


def left_by(trigger: str, *pages: str) -> dict[str, int]:
    return {
        **{f"{{0}}:{kind}:{trigger}": RETENTION_S for kind in "th"},
        "{0}:ended": FOR_GOOD,
        **{f"{{0}}:{kind}:{page}": RETENTION_S for page in pages for kind in "pl"},
    }


async def kept(records: Records) -> dict[str, int]:
    """All keys and their lifetimes, of which a few seconds may have passed."""
    return {name: ttl if ttl < 0 else ttl + -ttl % 60 for name, ttl in (await records.keys()).items()}


async def pages_of(records: Records, trigger: str) -> list[str]:
    [place] = (await records.get(trigger)).placement.slices
    last = (place.start + place.count - 1) // 100
    return [f"{place.base}.{number}" for number in range(place.start // 100, last + 1)]


async def work_off(records: Records) -> None:
    worker = records.worker()
    while jobs := await records.jobs():
        await deliver(worker, await records.claim(worker, jobs[0]))


async def expire(records: Records) -> None:
    """Everything with a lifetime is gone."""
    for name, ttl in (await records.keys()).items():
        if name.startswith("{0}:") and ttl > 0:
            await records.store.command("DEL", f"clarion:{name}")


async def lifetimes_are_over(records: Records) -> None:
    """For the index; the records themselves go by Redis' own clock."""
    for entry in await records.store.command("ZRANGE", key(0, "ended"), 0, -1):
        await records.store.command("ZADD", key(0, "ended"), 1, entry)


@pytest.mark.parametrize("count", [1, 100, 1000])
async def test_a_finished_trigger_leaves_its_records_for_the_retention_and_nothing_else(
    records: Records, count: int
) -> None:
    await records.campaign()
    trigger = await records.trigger(count)
    pages = await pages_of(records, trigger)
    await work_off(records)
    assert len(pages) == -(-count // 100)
    assert await kept(records) == {**CAMPAIGN, **SHARD, **left_by(trigger, *pages)}


async def test_retries_leave_nothing_of_their_own(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(150)
    worker = records.worker()
    for _ in range(3):
        await deliver(worker, await records.claim(worker), retry_at(1))
    await work_off(records)
    assert await records.states(trigger) == "S" * 150
    left = left_by(trigger, *await pages_of(records, trigger))
    assert await kept(records) == {**CAMPAIGN, **SHARD, **left, "{0}:serial": FOR_GOOD}


async def test_an_unfinished_trigger_lasts_until_it_is_finished(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(2)
    worker = records.worker()
    await deliver(worker, await records.claim(worker), retry_at(1))
    ttls = await records.keys()
    assert {ttls[f"{{0}}:{kind}:{trigger}"] for kind in "th"} == {FOR_GOOD}
    (page,) = await pages_of(records, trigger)
    assert {ttls[f"{{0}}:{kind}:{page}"] for kind in "pl"} == {FOR_GOOD}
    await work_off(records)
    assert (await kept(records))[f"{{0}}:p:{page}"] == RETENTION_S


async def test_a_cancelled_trigger_leaves_what_a_finished_one_does(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(1000)
    await records.triggers.cancel(trigger)
    ttls = await kept(records)
    expected = left_by(trigger, *await pages_of(records, trigger))
    assert {name: ttls[name] for name in expected} == expected
    worker = records.worker()
    for ref in await records.jobs():
        await worker.claim(ref, lane=LANE)
    assert await kept(records) == {**CAMPAIGN, **SHARD, **expected}


async def test_a_shared_page_lives_as_long_as_the_last_trigger_on_it(records: Records) -> None:
    await records.campaign()
    first, second, third = [records.item(count) for count in (60, 60, 60)]
    await records.accept(first, second, third)
    shared, last = await pages_of(records, second.trigger_id)
    worker = records.worker()
    claims = {claim.ref.id: claim for claim in [await records.claim(worker, ref) for ref in await records.jobs()]}
    await deliver(worker, claims[shared])
    ttls = await kept(records)
    assert ttls[f"{{0}}:t:{first.trigger_id}"] == RETENTION_S
    assert ttls[f"{{0}}:p:{shared}"] == FOR_GOOD  # the second one goes on
    assert ttls[f"{{0}}:t:{second.trigger_id}"] == FOR_GOOD
    await deliver(worker, claims[last])
    expected = left_by(second.trigger_id, shared, last) | left_by(first.trigger_id) | left_by(third.trigger_id)
    assert await kept(records) == {**CAMPAIGN, **SHARD, **expected}


async def test_a_finished_trigger_does_not_take_a_shared_page_with_it(records: Records) -> None:
    await records.campaign()
    first, second = records.item(1), records.item(1)
    await records.accept(first, second)
    await records.triggers.cancel(first.trigger_id)
    (page,) = await pages_of(records, second.trigger_id)
    ttls = await kept(records)
    assert ttls[f"{{0}}:t:{first.trigger_id}"] == RETENTION_S
    assert ttls[f"{{0}}:p:{page}"] == ttls[f"{{0}}:l:{page}"] == FOR_GOOD
    await work_off(records)
    assert (await kept(records))[f"{{0}}:p:{page}"] == RETENTION_S


async def test_after_the_retention_only_the_campaign_is_left(records: Records) -> None:
    await records.campaign()
    for count in (1, 250):
        await records.trigger(count)
    await work_off(records)
    await expire(records)
    assert not await records.upkeep.trim_index(0)
    assert await records.store.command("ZCARD", key(0, "index", "default/welcome")) == 2
    await lifetimes_are_over(records)
    assert not await records.upkeep.trim_index(0)
    assert (await kept(records)).keys() == CAMPAIGN.keys() | SHARD.keys() - {"{0}:i:default/welcome"}


async def test_a_trigger_whose_request_id_came_again_after_its_time_stays_listed(records: Records) -> None:
    await records.campaign()
    first = records.item(request="once")
    await records.accept(first)
    await work_off(records)
    await expire(records)
    again = records.item(request="once")
    await records.accept(again)
    await lifetimes_are_over(records)
    await records.upkeep.trim_index(0)
    assert [trigger.id for trigger in await records.triggers.page("default/welcome", None, 10)] == [again.trigger_id]
    await work_off(records)
    await expire(records)


async def test_events_older_than_an_hour_are_forgotten_and_younger_ones_are_not(records: Records) -> None:
    await records.campaign()
    await records.trigger()
    await work_off(records)
    stream = key(0, "events")
    for number in range(300):  # a whole node of the stream: trimming is by nodes
        await records.store.command("XADD", "old", f"1-{number + 1}", "f", "v")
    await records.store.command("RENAME", stream, "young")
    await records.store.command("RENAME", "old", stream)
    ((event_id, _),) = await records.store.command("XRANGE", "young", "-", "+")
    await records.store.command("XADD", stream, event_id, "f", "v")
    await records.upkeep.trim_events(0)
    assert 1 <= await records.store.command("XLEN", stream) < 301
    await records.store.command("RENAME", "young", stream)


async def test_the_walk_of_the_recount_comes_by_every_trigger(records: Records) -> None:
    await records.campaign()
    items = [records.item() for _ in range(150)]
    await records.accept(*items)
    seen = set(await records.upkeep.next_triggers(0))
    for _ in range(150):
        seen |= set(await records.upkeep.next_triggers(0))
    assert seen == {item.trigger_id for item in items}


@pytest.mark.parametrize("waits", ["parked", "for its retry"])
async def test_a_superseded_revision_is_kept_for_what_waits_under_it(records: Records, waits: str) -> None:
    await records.campaign()
    trigger = await records.trigger()
    await records.campaign(display_name="changed")
    name = "{control}:r:default/welcome:1"
    assert 0 < (await records.keys())[name] <= LIMITS["REVISION_TTL_MS"] / 1000
    if waits == "parked":
        await records.act(Action.PAUSE)
        await records.worker().claim((await records.jobs())[0], lane=LANE)
    else:
        await deliver(records.worker(), await records.claim(), retry_at(1))
    await records.store.command("EXPIRE", f"clarion:{name}", 60)
    ((batch, _),) = await records.store.command("ZRANGE", key(0, "open"), 0, -1, "WITHSCORES", withscores=True)
    await records.look_at(batch.decode())
    assert await records.sweep() == []
    assert (await records.keys())[name] > 60
    if waits == "parked":
        await records.act(Action.RESUME)
    await work_off(records)
    assert (await records.get(trigger)).trigger.revision == 1
