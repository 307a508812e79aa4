"""Channel configurations in the store: whoever read an old version changes nothing, and all of it has a lifetime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from clarion_core import tasks
from clarion_core.domain.configuration import Finding
from clarion_core.domain.errors import ChannelConfigurationExists, ConcurrentChange, NoWorker, RequestIdReused
from clarion_core.store.configurations import TEST_TTL_S, VERSIONS_KEPT, Asked, Configurations, Told
from clarion_core.store.connection import connect_blocking
from clarion_core.store.keys import LIMITS
from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from support.configurations import Kept, smtp
from support.records import Records, until

FOR_GOOD = -1
DAY_S = 86_400
NAME = "orders-mail"


@pytest.fixture
def configurations(store: Store) -> Configurations:
    return Configurations(store)


@pytest.fixture
def kept(configurations: Configurations) -> Kept:
    return Kept(configurations)


@pytest.fixture
async def blocking(redis_server: RedisServer) -> AsyncIterator[Store]:
    store = Store(connect_blocking(redis_server.url))
    yield store
    await store.close()


async def test_every_change_is_counted_and_read_with_the_others(configurations: Configurations, kept: Kept) -> None:
    assert (await configurations.changes(), await configurations.all()) == (0, [])
    first = await kept.put(NAME, smtp(1))
    other = await kept.put(NAME, smtp(2), "other")
    assert (await configurations.changes(), await configurations.all()) == (2, [first, other])
    await kept.delete(NAME)
    assert (await configurations.changes(), await configurations.all()) == (3, [other])


async def test_a_change_over_an_old_version_is_refused(configurations: Configurations, kept: Kept) -> None:
    await kept.put(NAME, smtp(1))
    slot = await configurations.read("default", NAME)
    assert slot.configuration
    await kept.put(NAME, smtp(2))
    with pytest.raises(ConcurrentChange):
        await configurations.put(replace(slot.configuration, version=2), slot, kept.request())
    with pytest.raises(ConcurrentChange):
        await configurations.delete(slot.configuration, kept.request())
    await kept.delete(NAME)
    with pytest.raises(ConcurrentChange):
        await configurations.put(replace(slot.configuration, version=2), slot, kept.request())
    assert (await configurations.read("default", NAME)).configuration is None


async def test_a_version_is_given_once_whatever_happens_between_reading_and_writing(
    configurations: Configurations, kept: Kept
) -> None:
    made = await kept.put(NAME, smtp(1))
    await kept.delete(NAME)
    slot = await configurations.read("default", NAME)
    assert (slot.configuration, slot.version) == (None, 1)
    again = replace(made, version=slot.version + 1)
    await kept.put(NAME, smtp(2))
    with pytest.raises(ChannelConfigurationExists):
        await configurations.put(again, slot, kept.request())
    await kept.delete(NAME)
    with pytest.raises(ConcurrentChange):
        await configurations.put(again, slot, kept.request())
    assert (await kept.put(NAME, smtp(3))).version == 3


async def test_a_request_id_acts_once(configurations: Configurations, kept: Kept) -> None:
    slot, request = await configurations.read("default", NAME), kept.request()
    made = replace(await kept.put("another", smtp(1)), id=NAME)
    assert await configurations.put(made, slot, request) is None
    assert await configurations.put(made, slot, request) == made
    with pytest.raises(RequestIdReused):
        await configurations.put(made, slot, replace(request, fingerprint="other"))
    assert await configurations.changes() == 2


async def test_the_last_versions_are_kept(store: Store, configurations: Configurations, kept: Kept) -> None:
    made = [await kept.put(NAME, smtp(port)) for port in range(1, VERSIONS_KEPT + 3)]
    for version, port in ((2, 0), (3, 3), (VERSIONS_KEPT + 2, VERSIONS_KEPT + 2)):
        found = await configurations.version("default", NAME, version)
        assert found == (made[port - 1] if port else None)
    assert await store.command("HLEN", f"clarion:{{control}}:cf:default/{NAME}") == VERSIONS_KEPT + 2


async def test_what_is_removed_leaves_its_versions_for_a_while_and_nothing_else(store: Store, kept: Kept) -> None:
    await kept.put(NAME, smtp(1))
    assert await lifetimes(store) == {
        "{control}:cf:default/orders-mail": FOR_GOOD,
        "{control}:cfi:default": FOR_GOOD,
        "{control}:cfs": FOR_GOOD,
        "{control}:cfn": FOR_GOOD,
        "{control}:rq:default:configured-1": DAY_S,
    }
    await kept.delete(NAME)
    assert await lifetimes(store) == {
        "{control}:cf:default/orders-mail": LIMITS["REVISION_TTL_MS"] // 1000,
        "{control}:cfn": FOR_GOOD,
        "{control}:rq:default:configured-1": DAY_S,
        "{control}:rq:default:configured-2": DAY_S,
    }
    await kept.put(NAME, smtp(1))
    assert (await lifetimes(store))["{control}:cf:default/orders-mail"] == FOR_GOOD


async def lifetimes(store: Store) -> dict[str, int]:
    """All keys of configurations and their lifetimes, of which a few seconds may have passed."""
    found = await Records(store).keys()
    return {name: ttl if ttl < 0 else ttl + -ttl % 60 for name, ttl in found.items()}


async def test_a_test_is_taken_by_one_worker_and_answered_to_whoever_asked(
    store: Store, configurations: Configurations, blocking: Store
) -> None:
    asking = asyncio.create_task(configurations.ask("default", NAME, blocking=blocking, wait_s=60))
    await until(lambda: _waits(store))
    assert (await Records(store).keys())["{control}:ct"] > TEST_TTL_S - 10
    asked = await configurations.asked()
    assert asked
    assert (asked.workspace, asked.configuration) == ("default", NAME)
    assert await configurations.asked() is None
    told = Told("vm-1", True, (Finding(provider="main", kind="smtp", ok=True, detail="connected", took_ms=3),))
    await configurations.answer(asked, told)
    assert await asking == told
    assert await lifetimes(store) == {}


async def _waits(store: Store) -> bool:
    return bool(await store.command("LLEN", "clarion:{control}:ct"))


async def test_a_test_that_nobody_takes_leaves_nothing(
    store: Store, configurations: Configurations, blocking: Store
) -> None:
    with pytest.raises(NoWorker):
        await configurations.ask("default", NAME, blocking=blocking, wait_s=0.02)
    assert await _is_empty(store)


async def test_whoever_stops_asking_leaves_nothing_however_far_it_had_come(
    store: Store, configurations: Configurations, blocking: Store
) -> None:
    for steps in range(40):
        asking = asyncio.create_task(configurations.ask("default", NAME, blocking=blocking, wait_s=60))
        for _ in range(steps):
            await asyncio.sleep(0)
        await tasks.end([asking])
        await until(lambda: _is_empty(store))
    asking = asyncio.create_task(configurations.ask("default", NAME, blocking=blocking, wait_s=60))
    await until(lambda: _waits(store))
    await tasks.end([asking])
    await until(lambda: _is_empty(store))


async def _is_empty(store: Store) -> bool:
    return not await store.command("DBSIZE")


async def test_an_answer_that_nobody_waits_for_is_gone_in_a_minute(
    store: Store, configurations: Configurations
) -> None:
    asked = Asked("a1", "default", NAME)
    await configurations.answer(asked, Told("vm-1", False))
    assert await lifetimes(store) == {f"{{control}}:ctd:{asked.id}": TEST_TTL_S}
