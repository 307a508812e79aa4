"""Leases: kept alive together, known to be lost, and never trusted for longer than the store does."""

from __future__ import annotations

import asyncio
import time

import pytest

from clarion_core import tasks
from clarion_core.store.batches import BatchRef, BatchStore
from clarion_core.store.connection import connect
from clarion_core.store.keys import key
from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from clarion_workers.leases import Lease, Leases
from support.mute_proxy import MuteProxy
from support.records import LEASE_MS, RETENTION_S, VIA, Records, until

LEASE_S = 60.0
REF = BatchRef(shard=0, via=VIA, id="b.0", epoch=1)


def test_a_lease_is_trusted_until_shortly_before_its_end() -> None:
    lease = Lease(REF, LEASE_S)
    now = time.monotonic()
    for asked_s_ago, safe in [(0, True), (47, True), (49, False), (60, False), (3600, False)]:
        lease.renewed(now - asked_s_ago)
        assert lease.is_safe is safe
    lease.renewed(now)
    lease.lost = True
    assert not lease.is_safe


async def test_a_lease_counts_from_when_it_was_asked_for_not_from_the_answer(records: Records) -> None:
    leases = Leases(records.worker(), 1, LEASE_S)
    async with leases.hold(REF, time.monotonic() - 50) as lease:
        assert not lease.is_safe


async def test_batches_in_hand_are_renewed_together_and_lost_ones_are_told(records: Records) -> None:
    await records.campaign()
    for _ in range(2):
        await records.trigger()
    worker = records.worker()
    kept, lost = [await records.claim(worker, ref) for ref in await records.jobs()]
    await records.lapse(lost.ref.id)
    await records.sweep()
    await records.store.command("HSET", key(0, "batch", kept.ref.id), "u", kept.now_ms + 1)
    leases, long_ago = Leases(worker, 1, LEASE_S), time.monotonic() - 50
    async with leases.hold(kept.ref, long_ago) as one, leases.hold(lost.ref, long_ago) as other:
        keeping = asyncio.create_task(leases.keep())

        async def has_renewed() -> bool:
            return one.is_safe and other.lost

        await until(has_renewed)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    ends_ms = int(await records.store.command("HGET", key(0, "batch", kept.ref.id), "u"))
    assert ends_ms >= kept.now_ms + LEASE_MS


async def test_a_worker_with_nothing_in_hand_gives_a_sign_of_life(records: Records, store: Store) -> None:
    leases = Leases(records.worker(), 1, LEASE_S)
    keeping = asyncio.create_task(leases.keep())

    async def has_beaten() -> bool:
        return bool(await store.command("EXISTS", key(0, "beat")))

    await until(has_beaten)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_batch_is_let_go_however_its_work_ends(records: Records) -> None:
    leases = Leases(records.worker(), 1, LEASE_S)
    with pytest.raises(ValueError, match="broken"):
        async with leases.hold(REF, time.monotonic()):
            raise ValueError("broken")
    async with leases.hold(REF, time.monotonic()) as lease:
        assert lease.is_safe


async def test_a_connection_that_goes_dead_without_a_word_does_not_cost_the_lease(
    records: Records, redis_server: RedisServer
) -> None:
    await records.campaign()
    await records.trigger()
    async with MuteProxy(redis_server.socket) as proxy:
        redis = connect(proxy.url)
        worker = BatchStore(Store(redis), worker="w1", lease_ms=4_000, retention_s=RETENTION_S)
        claim = await records.claim(worker)
        leases, asked_at = Leases(worker, 1, 4.0), time.monotonic()

        async def end_ms() -> int:
            return int(await records.store.command("HGET", key(0, "batch", claim.ref.id), "u"))

        first_ms = await end_ms()
        proxy.mute_at(b"renew_")
        async with leases.hold(claim.ref, asked_at) as lease:
            keeping = asyncio.create_task(leases.keep())
            await proxy.muted.wait()

            async def is_renewed() -> bool:
                return await end_ms() > first_ms

            await until(is_renewed)
            assert lease.is_safe
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            assert not lease.lost
        await worker.finish(claim, [])
        await redis.aclose()


async def test_a_store_that_stalls_for_half_a_lease_is_asked_again_before_the_lease_is_over(records: Records) -> None:
    lease_ms = 6_000
    await records.campaign()
    await records.trigger()
    worker = records.worker(lease_ms=lease_ms)
    claim = await records.claim(worker)
    leases = Leases(worker, 1, lease_ms / 1000)

    async def end_ms() -> int:
        return int(await records.store.command("HGET", key(0, "batch", claim.ref.id), "u"))

    async def renewed(since_ms: int) -> int:
        async def is_renewed() -> bool:
            return await end_ms() > since_ms

        await until(is_renewed)
        return await end_ms()

    async with leases.hold(claim.ref, time.monotonic()):
        since_ms = await end_ms()
        keeping = asyncio.create_task(leases.keep())
        before_ms = await renewed(since_ms)
        # The next renewal comes after a third of a lease; from then on the store is away for a little over a half.
        await records.store.command("CLIENT", "PAUSE", round((1 / 3 + 0.52) * lease_ms), "ALL")
        after_ms = await renewed(before_ms)
        await tasks.end([keeping])
    assert after_ms - lease_ms < before_ms, "renewed after it was over"
    await worker.finish(claim, [])
