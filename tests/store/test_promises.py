"""What the server promises, and what is said where that is weak."""

from __future__ import annotations

from pathlib import Path

import pytest

from clarion_core.store import keys, promises
from clarion_core.store.connection import connect
from clarion_core.store.promises import Promises, StoreMismatch
from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer


async def promised(server: RedisServer) -> Promises:
    store = Store(connect(server.url))
    try:
        return await promises.check(store, 1)
    finally:
        await store.close()


async def test_our_own_server_keeps_what_was_accepted(store: Store, redis_server: RedisServer) -> None:
    found = await promised(redis_server)
    assert (found.appendonly, found.appendfsync, found.eviction) == ("yes", "always", "noeviction")
    assert found.warnings == ()
    assert found.maxmemory > 0
    assert (await promises.memory(store))[1] == found.maxmemory


async def test_a_weaker_server_is_said_to_be_one(tmp_path: Path) -> None:
    weak = {"appendonly": "no", "maxmemory": "0", "maxmemory-policy": "allkeys-lru"}
    with RedisServer(tmp_path, extra=weak) as server:
        warnings = (await promised(server)).warnings
    assert [warning.split(":")[0] for warning in warnings] == [
        "appendonly is not yes",
        "maxmemory-policy is allkeys-lru, not noeviction",
        "maxmemory is not set",
    ]


async def test_a_server_that_syncs_now_and_then_is_said_to_lose_seconds(tmp_path: Path) -> None:
    with RedisServer(tmp_path, appendfsync="everysec") as server:
        (warning,) = (await promised(server)).warnings
    assert warning.startswith("appendfsync is everysec, not always")


async def test_the_first_process_fixes_the_number_of_shards(store: Store) -> None:
    await promises.check(store, 2)
    await promises.check(store, 2)
    with pytest.raises(StoreMismatch, match="the store's shards is 2, this process was told 3"):
        await promises.check(store, 3)


async def test_a_store_of_another_format_is_refused_and_left_as_it_is(store: Store) -> None:
    await store.command("HSET", keys.key(keys.CONTROL, "meta"), "shards", 1, "format", promises.FORMAT - 1)
    with pytest.raises(
        StoreMismatch, match=r"the store's format is \d+, this version reads \d+: let the one that wrote it"
    ):
        await promises.check(store, 1)
    assert await store.command("HGET", keys.key(keys.CONTROL, "meta"), "format") == b"%d" % (promises.FORMAT - 1)
