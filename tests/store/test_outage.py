"""A store that is away, forgets its functions, or is full."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from clarion_core.domain.errors import StoreFull, StoreUnavailable
from clarion_core.store.connection import connect
from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from support.invariants import check
from support.records import LANE, Records, deliver


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
async def records(server: RedisServer) -> AsyncIterator[Records]:
    """Records on a server that the test may do anything to."""
    store = Store(connect(server.url))
    await store.load()
    yield (records := Records(store))
    await check(records)
    await store.close()


async def test_a_store_that_is_away_is_said_to_be_and_works_again_when_it_is_back(
    records: Records, server: RedisServer
) -> None:
    await records.campaign()
    trigger = await records.trigger(3)
    claim = await records.claim()
    server.kill()
    for refused in (
        records.counts(trigger),
        records.worker().claim(claim.ref, lane=LANE),
        records.store.command("PING"),
        records.store.commands([("PING",)]),
        records.trigger(),
    ):
        with pytest.raises(StoreUnavailable) as caught:
            await refused
        assert caught.value.retry_after_s
    server.start()
    await deliver(records.worker(), claim)
    assert await records.states(trigger) == "SSS"


async def test_functions_that_were_flushed_are_loaded_again(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger()
    await records.store.command("FUNCTION", "FLUSH")
    await deliver(records.worker(), await records.claim())
    assert await records.states(trigger) == "S"


async def test_a_function_that_is_not_ours_is_not_looked_for_twice(records: Records) -> None:
    with pytest.raises(Exception, match="Function not found"):
        await records.store.call("no_such_function", 0)


async def test_loading_the_functions_again_harms_nobody(records: Records) -> None:
    await records.store.load()
    await records.store.load()
    assert len(await records.store.command("FUNCTION", "LIST")) == 1


async def test_a_full_store_takes_no_more_triggers_and_finishes_those_it_has(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(3)
    await records.store.command("CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(StoreFull):
        await records.trigger()
    large = records.item(1000)
    with pytest.raises(StoreFull):
        await records.accepting.stage(0, large)
    worker = records.worker()
    claim = await records.claim(worker)
    assert await worker.renew(0, [claim.ref]) == set()
    await deliver(worker, claim)
    await records.sweep()
    assert await records.states(trigger) == "SSS"
    await records.store.command("CONFIG", "SET", "maxmemory", 0)
    await records.trigger()


async def test_a_store_that_may_not_write_now_is_unavailable(records: Records) -> None:
    await records.campaign()
    await records.store.command("CONFIG", "SET", "min-replicas-to-write", 1)
    with pytest.raises(StoreUnavailable):
        await records.trigger()
    await records.store.command("CONFIG", "SET", "min-replicas-to-write", 0)
    await records.trigger()
