"""Campaign records: changed one at a time, replayed by request id, and told to every shard's gate."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from clarion_core.domain.campaign import Action, Campaign, CampaignState, Definition
from clarion_core.domain.errors import CampaignStateError, ConcurrentChange, RequestIdReused
from clarion_core.domain.trigger import Counts
from clarion_core.store.campaigns import CampaignStore, RequestKey
from clarion_core.store.keys import CONTROL, LIMITS, key
from clarion_core.store.store import Store
from support.records import RETENTION_S, Records


async def gate(records: Records, shard: int = 0, campaign: str = "default/welcome") -> tuple[str, int]:
    """State and version."""
    state, version = await records.store.command("HMGET", key(shard, "gate", campaign), "st", "ver")
    return state.decode(), int(version)


async def dirty(records: Records) -> set[bytes]:
    return set(await records.store.command("SMEMBERS", key("control", "dirty")))


async def test_a_campaign_is_read_as_it_was_put(records: Records) -> None:
    campaign = await records.campaign(display_name="Welcome")
    slot = await records.campaigns.read("default", "welcome")
    assert (slot.campaign, slot.version, slot.revision) == (campaign, 1, 1)
    assert slot.now_ms >= campaign.create_ms
    assert await records.campaigns.definition(campaign.key, 1) == campaign.definition
    assert await records.campaigns.definition(campaign.key, 2) is None
    assert (await records.campaigns.read("other", "welcome")).campaign is None


async def test_of_two_changes_to_the_same_version_one_is_refused(records: Records) -> None:
    campaign = await records.campaign()
    slot = await records.campaigns.read("default", "welcome")
    changed = replace(campaign, version=2, state=CampaignState.PAUSED)
    await records.campaigns.put(changed, slot, records.request())
    with pytest.raises(ConcurrentChange):
        await records.campaigns.put(changed, slot, records.request())
    with pytest.raises(ConcurrentChange):
        await records.campaigns.delete(campaign, records.request())


async def test_a_repeated_request_changes_nothing_and_is_answered_as_before(records: Records) -> None:
    campaign = await records.campaign()
    slot = await records.campaigns.read("default", "welcome")
    request = records.request()
    paused = replace(campaign, version=2, state=CampaignState.PAUSED)
    assert await records.campaigns.put(paused, slot, request) is None
    assert await records.campaigns.put(paused, slot, request) == paused
    with pytest.raises(RequestIdReused):
        await records.campaigns.put(paused, slot, RequestKey(id=request.id, fingerprint="another body"))
    assert await records.campaigns.answered("default", request, campaign.name) is not None
    assert await records.campaigns.answered("default", records.request(), campaign.name) is None


async def test_a_repeated_request_does_not_move_the_gate_to_where_it_no_longer_is(records: Records) -> None:
    campaign = await records.campaign()
    slot = await records.campaigns.read("default", "welcome")
    request = records.request()
    await records.campaigns.put(replace(campaign, version=2, state=CampaignState.PAUSED), slot, request)
    resumed = await records.act(Action.RESUME)
    now = await records.campaigns.read("default", "welcome")
    again = replace(resumed, version=4, state=CampaignState.PAUSED)
    assert await records.campaigns.put(again, now, request) is not None
    assert await gate(records) == ("L", 3)
    await records.trigger()


async def test_gates_that_a_crash_left_behind_are_repaired(records: Records) -> None:
    campaign = await records.campaign()
    await records.store.command("HSET", key(0, "gate", campaign.key), "st", "P", "ver", 0)
    await records.store.command("SADD", key("control", "dirty"), f"{campaign.key} 1")
    assert [name async for name in records.campaigns.repair_gates()] == [campaign.key]
    assert await gate(records) == ("L", 1)
    assert [name async for name in records.campaigns.repair_gates()] == []


async def test_a_change_whose_gates_are_not_set_yet_is_not_forgotten_with_an_earlier_one(records: Records) -> None:
    campaign = await records.campaign()
    await records.store.command("SADD", key("control", "dirty"), f"{campaign.key} 2")
    slot = await records.campaigns.read("default", "welcome")
    request = records.request()
    paused = replace(campaign, version=2, state=CampaignState.PAUSED)
    await records.store.command("SADD", key("control", "dirty"), f"{campaign.key} 3")
    await records.campaigns.put(paused, slot, request)
    assert await dirty(records) == {b"default/welcome 3"}
    assert [name async for name in records.campaigns.repair_gates()] == [campaign.key]
    assert await dirty(records) == set()


async def test_an_older_change_does_not_overtake_a_newer_one_at_the_gate(records: Records) -> None:
    campaign = await records.campaign()
    await records.act(Action.STOP)
    old = {"campaign": campaign.key, "version": 1, "state": "L", "revision": 1, "kept_ms": 0}
    assert await records.store.call("gate", 0, **old) == 0
    assert await gate(records) == ("S", 2)


async def test_a_removed_campaigns_numbers_go_on(records: Records) -> None:
    campaign = await records.campaign()
    stopped = await records.act(Action.STOP)
    request = records.request()
    assert await records.campaigns.delete(stopped, request) is False
    assert await records.campaigns.delete(stopped, request) is True
    assert await records.campaigns.page("default", "", 10) == ([], "")
    slot = await records.campaigns.read("default", "welcome")
    assert (slot.campaign, slot.version, slot.revision) == (None, 3, 1)
    ttls = await records.keys()
    for name in ("{control}:c:default/welcome", "{control}:r:default/welcome:1", "{0}:g:default/welcome"):
        assert 0 < ttls[name] <= LIMITS["REVISION_TTL_MS"] / 1000
    again = await records.campaign()
    assert (again.version, again.revision) == (4, 2)
    assert await gate(records) == ("L", 4)
    ttls = await records.keys()
    assert ttls["{control}:c:default/welcome"] == ttls["{0}:g:default/welcome"] == -1
    assert await records.campaigns.definition(campaign.key, 1) is not None


async def test_campaigns_are_listed_by_id_and_workspace(records: Records) -> None:
    for name in ("b", "c", "a"):
        await records.campaign(name)
    pages = [await records.campaigns.page("default", after, 2) for after in ("", "b", "c")]
    assert [([campaign.id for campaign in page], last) for page, last in pages] == [
        (["a", "b"], "b"),
        (["c"], ""),
        ([], ""),
    ]
    assert await records.campaigns.page("other", "", 2) == ([], "")


async def test_a_campaign_removed_while_a_page_is_read_does_not_end_the_list(records: Records) -> None:
    for name in ("a", "b", "c"):
        await records.campaign(name)
    await records.store.command("HDEL", key(CONTROL, "campaign", "default/b"), "rec")  # the id was read, now it goes
    page, last = await records.campaigns.page("default", "", 2)
    assert ([campaign.id for campaign in page], last) == (["a"], "b")


async def test_every_shard_has_a_gate_and_a_share_of_the_counts(records: Records, store: Store) -> None:
    campaigns = CampaignStore(store, 3, RETENTION_S)
    slot = await campaigns.read("default", "spread")
    campaign = Campaign(
        workspace="default",
        id="spread",
        state=CampaignState.LIVE,
        revision=1,
        version=1,
        create_ms=slot.now_ms,
        update_ms=slot.now_ms,
        definition=Definition(),
    )
    await campaigns.put(campaign, slot, records.request())
    assert [await gate(records, shard, campaign.key) for shard in range(3)] == [("L", 1)] * 3
    for shard in range(3):
        await store.command("HSET", key(shard, "counts", campaign.key), "acc", shard, "S", shard)
    assert await campaigns.counts(campaign.key) == Counts(accepted=3, sent=3)


async def test_racing_changes_leave_the_gate_at_the_last_of_them(records: Records) -> None:
    await records.campaign()

    async def toggle() -> None:
        for action in (Action.PAUSE, Action.RESUME):
            with suppress(ConcurrentChange, CampaignStateError):
                await records.act(action)

    await asyncio.gather(*(toggle() for _ in range(10)))
    slot = await records.campaigns.read("default", "welcome")
    assert slot.campaign
    assert await gate(records) == (slot.campaign.state.value, slot.version)
    assert await dirty(records) == set()
