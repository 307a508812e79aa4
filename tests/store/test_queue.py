"""arq as our carrier: our jobs on its own worker, and ours that is woken and outlives the store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import Worker

from clarion_core import queue
from clarion_core.domain.medium import Medium
from clarion_core.queue import LaneWorker, deserialize, job_function, job_parts, serialize
from clarion_core.store.connection import connect, connect_blocking
from clarion_core.store.keys import LIMITS, key, queue_of
from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from support.records import LANE, QUEUE, VIA, Records, deliver, retry_at

OTHER = "email/default/other"


class Runs:
    """What a worker was given, and a signal for it."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, str, str, int]] = []
        self.changed = asyncio.Condition()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.running = 0
        self.served = {VIA, OTHER}

    async def job(self, _ctx: dict[str, Any], shard: str, via: str, batch: str, epoch: int) -> None:
        self.jobs.append((shard, via, batch, epoch))
        self.running += 1
        async with self.changed:
            self.changed.notify_all()
        try:
            await self.go_on.wait()
        finally:
            self.running -= 1

    async def wait_for(self, done: Callable[[Runs], bool]) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: done(self))


@asynccontextmanager
async def lane(redis_url: str, runs: Runs, jobs: int = 4) -> AsyncIterator[LaneWorker]:
    """A lane worker that runs; its jobs move in the queue, and leave it, as claims have them do."""
    redis, blocking = connect(redis_url), connect_blocking(redis_url)

    async def job(ctx: dict[str, Any], shard: str, via: str, batch: str, epoch: int) -> None:
        queue = key(0, "queue", queue_of(LANE, via))
        await redis.zadd(queue, {ctx["job_id"]: 4_000_000_000_000}, xx=True)
        await runs.job(ctx, shard, via, batch, epoch)
        await redis.zrem(queue, ctx["job_id"])
        await redis.delete(f"arq:job:{ctx['job_id']}")

    worker = LaneWorker(
        Store(redis),
        redis,
        blocking,
        shard=0,
        lane=LANE,
        deliver=job,
        serves=lambda queue, _: queue.via in runs.served,
        media=lambda: {Medium.EMAIL},
        jobs=jobs,
    )
    running = asyncio.create_task(worker.async_run())
    try:
        yield worker
    finally:
        worker.drain()
        runs.go_on.set()
        await asyncio.gather(running, *worker.tasks.values(), return_exceptions=True)
        await redis.aclose()
        await blocking.aclose()


async def arq_keys(store: Store) -> set[bytes]:
    return set(await store.command("KEYS", "arq:*")) | set(await store.command("KEYS", key(0, "queue") + "*"))


async def lose_tokens(store: Store) -> None:
    for wake in await store.command("KEYS", key(0, "wake") + "*"):
        await store.command("DEL", wake)


async def run_with_arqs_own_worker(redis_url: str, runs: Runs) -> Worker:
    redis = connect(redis_url)
    worker = Worker(
        functions=[job_function(runs.job)],
        queue_name=key(0, "queue", QUEUE),
        redis_pool=ArqRedis(connection_pool=redis.connection_pool),
        burst=True,
        poll_delay=0,
        handle_signals=False,
        job_serializer=serialize,
        job_deserializer=deserialize,
    )
    await worker.main()
    await worker.pool.delete(worker.health_check_key)
    await redis.aclose()
    return worker


async def test_a_job_of_ours_runs_on_arqs_own_worker_and_disappears_completely(
    store: Store, redis_server: RedisServer
) -> None:
    records = Records(store)
    await records.campaign()
    for _ in range(3):
        await records.trigger()
    expected = [(str(ref.shard), ref.via, ref.id, ref.epoch) for ref in await records.jobs()]
    runs = Runs()
    worker = await run_with_arqs_own_worker(redis_server.url, runs)
    assert sorted(runs.jobs) == sorted(expected)
    assert (worker.jobs_complete, worker.jobs_failed, worker.jobs_retried) == (3, 0, 0)
    assert await arq_keys(store) == set()


async def test_arqs_own_worker_leaves_a_job_alone_that_is_not_due(store: Store, redis_server: RedisServer) -> None:
    records = Records(store)
    await records.campaign()
    trigger = await records.trigger()
    due_ms = (await records.get(trigger)).trigger.create_ms + 3_600_000
    await deliver(records.worker(), await records.claim(), retry_at(due_ms))
    redis = connect(redis_server.url)
    pool = ArqRedis(connection_pool=redis.connection_pool, default_queue_name=key(0, "queue", QUEUE))
    ids = await pool.zrangebyscore(key(0, "queue", QUEUE), min="-inf", max=due_ms - 1)
    assert ids == []
    assert await records.store.command("PTTL", f"arq:job:{{0}}:{VIA}:{(await records.jobs())[0].id}:1") > 3_600_000
    await redis.aclose()


async def test_the_job_is_as_arq_would_have_written_it(store: Store, redis_server: RedisServer) -> None:
    records = Records(store)
    await records.campaign()
    await records.trigger()
    (ref,) = await records.jobs()
    job = deserialize(await records.job(f"{{0}}:{VIA}:{ref.id}:1"))
    assert job.pop("et") > 0
    assert job == {"t": None, "f": queue.JOB, "a": ["0", VIA, ref.id, 1], "k": {}}
    assert deserialize(serialize(job)) == job


async def test_a_token_wakes_a_worker_that_sleeps(
    store: Store, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "POLL_S", 3600.0)  # so that nothing but the token can wake it
    records, runs = Records(store), Runs()
    await records.campaign()
    async with lane(redis_server.url, runs):
        for count in range(1, 4):
            await records.trigger()
            await runs.wait_for(lambda runs, count=count: len(runs.jobs) == count)  # type: ignore[misc]  # the default binds the loop's value
    assert len(set(runs.jobs)) == 3


async def test_the_end_of_a_job_starts_the_next_without_a_token(
    store: Store, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "POLL_S", 3600.0)
    records, runs = Records(store), Runs()
    await records.campaign()
    for _ in range(5):
        await records.trigger()
    await lose_tokens(store)
    async with lane(redis_server.url, runs, jobs=1):
        await runs.wait_for(lambda runs: len(runs.jobs) == 5)


async def test_a_lost_token_costs_one_turn_of_the_timer(store: Store, redis_server: RedisServer) -> None:
    records, runs = Records(store), Runs()
    await records.campaign()
    async with lane(redis_server.url, runs):
        await records.trigger()
        await runs.wait_for(lambda runs: len(runs.jobs) == 1)
        await records.trigger()
        await lose_tokens(store)
        await runs.wait_for(lambda runs: len(runs.jobs) == 2)


async def test_a_worker_runs_as_many_jobs_as_it_may_and_leaves_tokens_to_others(
    store: Store, redis_server: RedisServer
) -> None:
    records, busy, free = Records(store), Runs(), Runs()
    await records.campaign()
    busy.go_on.clear()
    async with lane(redis_server.url, busy, jobs=2):
        for _ in range(2):
            await records.trigger()
        await busy.wait_for(lambda runs: runs.running == 2)
        async with lane(redis_server.url, free, jobs=2):
            await records.trigger()
            await free.wait_for(lambda runs: len(runs.jobs) == 1)
        assert len(busy.jobs) == 2


async def test_a_queue_whose_jobs_last_holds_up_no_other_and_is_left_to_whoever_has_slots(
    store: Store, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "POLL_S", 3600.0)  # so that nothing but tokens and ends of jobs can wake it
    records, busy, free = Records(store), Runs(), Runs()
    await records.campaign()
    busy.go_on.clear()
    async with lane(redis_server.url, busy, jobs=2):
        for _ in range(10):
            await records.trigger()
        await busy.wait_for(lambda runs: runs.running == 2)
        for count in range(1, 3):
            await records.trigger(configuration="default/other")
            await busy.wait_for(lambda runs, count=count: runs.running == 2 + count)  # type: ignore[misc]  # the default binds the loop's value
        assert [job[1] for job in busy.jobs] == [VIA, VIA, OTHER, OTHER]
        async with lane(redis_server.url, free, jobs=1):
            await free.wait_for(lambda runs: len(runs.jobs) == 8)
        assert len(busy.jobs) == 4


async def test_what_one_does_not_serve_it_leaves_to_others_until_it_does(
    store: Store, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "POLL_S", 3600.0)
    records, runs = Records(store), Runs()
    await records.campaign()
    runs.served = {VIA}
    async with lane(redis_server.url, runs) as worker:
        await records.trigger(configuration="default/other")
        await records.trigger()
        await runs.wait_for(lambda runs: len(runs.jobs) == 1)
        assert [job[1] for job in runs.jobs] == [VIA]
        runs.served.add(OTHER)
        worker.look()
        await runs.wait_for(lambda runs: len(runs.jobs) == 2)


async def test_slow_queues_leave_slots_to_others_up_to_a_number_of_them(
    store: Store, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "QUEUES_AT_ONCE", 3)
    records, runs = Records(store), Runs()
    await records.campaign()
    names = [f"c{number}" for number in range(5)]
    runs.served = {f"email/default/{name}" for name in names}
    runs.go_on.clear()
    async with lane(redis_server.url, runs, jobs=2):
        for name in names:
            for _ in range(3):
                await records.trigger(configuration=f"default/{name}")
        await runs.wait_for(lambda runs: runs.running == 6)
        assert max(Counter(via for _, via, _, _ in runs.jobs).values()) == 2
        runs.go_on.set()
        await runs.wait_for(lambda runs: len(runs.jobs) == 15)
    assert len(set(runs.jobs)) == 15


async def test_a_draining_worker_starts_nothing_and_lets_its_jobs_end(store: Store, redis_server: RedisServer) -> None:
    records, runs = Records(store), Runs()
    await records.campaign()
    await records.trigger()
    runs.go_on.clear()
    async with lane(redis_server.url, runs) as worker:
        await runs.wait_for(lambda runs: runs.running == 1)
        await records.trigger()
        worker.drain()
        jobs = list(worker.tasks.values())
        runs.go_on.set()
        await asyncio.gather(*jobs)
    assert 1 <= len(runs.jobs) <= 2
    assert worker.jobs_complete == len(runs.jobs)


async def test_a_paused_worker_starts_nothing_and_lets_its_jobs_end(store: Store, redis_server: RedisServer) -> None:
    records, runs, free = Records(store), Runs(), Runs()
    await records.campaign()
    runs.go_on.clear()
    async with lane(redis_server.url, runs) as worker:
        await records.trigger()
        await runs.wait_for(lambda runs: runs.running == 1)
        worker.pause()
        runs.go_on.set()
        await asyncio.gather(*worker.tasks.values())
        for _ in range(2):
            await records.trigger()
        async with lane(redis_server.url, free, jobs=1):  # a round of the queue and more
            await free.wait_for(lambda runs: len(runs.jobs) == 2)
        assert len(runs.jobs) == 1
        await records.trigger()
        assert await worker._start_due() == queue.POLL_S, "what is due does not make it look over and over"
        assert worker.job_counter == 0
        worker.resume()
        await runs.wait_for(lambda runs: len(runs.jobs) == 2)


async def test_a_paused_worker_can_be_drained(store: Store, redis_server: RedisServer) -> None:
    runs = Runs()
    async with lane(redis_server.url, runs) as worker:
        worker.pause()
        worker.drain()
    assert runs.jobs == []


async def test_a_worker_resumed_takes_what_is_there_without_a_token(
    store: Store, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "POLL_S", 3600.0)
    records, runs = Records(store), Runs()
    await records.campaign()
    async with lane(redis_server.url, runs) as worker:
        worker.pause()
        await records.trigger()
        await lose_tokens(store)
        worker.resume()
        await runs.wait_for(lambda runs: len(runs.jobs) == 1)


async def test_a_job_that_leaves_its_place_in_the_queue_rests_before_it_runs_again(
    store: Store, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever broke it would break it again at once."""
    monkeypatch.setattr(queue, "REST_S", 3_600.0)
    records, runs = Records(store), Runs()
    await records.campaign()
    await records.trigger()
    redis, blocking = connect(redis_server.url), connect_blocking(redis_server.url)
    worker = LaneWorker(
        store,
        redis,
        blocking,
        shard=0,
        lane=LANE,
        deliver=runs.job,
        serves=lambda *_: True,
        media=lambda: {Medium.EMAIL},
        jobs=4,
    )
    running = asyncio.create_task(worker.async_run())
    await runs.wait_for(lambda runs: len(runs.jobs) == 1)
    await records.trigger()
    await runs.wait_for(lambda runs: len(runs.jobs) == 2)
    assert len(set(runs.jobs)) == 2
    worker.drain()
    await asyncio.gather(running, return_exceptions=True)
    await redis.aclose()
    await blocking.aclose()


def test_a_jobs_id_tells_its_parts() -> None:
    assert job_parts("{0}:email/email:001m886dyharm31p6533ge.0:3") == (
        "0",
        "email/email",
        "001m886dyharm31p6533ge.0",
        3,
    )
    assert job_parts("{12}:sms/x:r:sms/x:default/a-b:7:1795000000:0:1") == (
        "12",
        "sms/x",
        "r:sms/x:default/a-b:7:1795000000:0",
        1,
    )


async def test_a_worker_outlives_a_restart_of_the_store(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = RedisServer(tmp_path_factory.mktemp("own"))
    with server:
        store = Store(connect(server.url))
        await store.load()
        records, runs = Records(store), Runs()
        await records.campaign()
        async with lane(server.url, runs, jobs=2):
            for restarts in range(1, 3):
                runs.go_on.clear()
                await records.trigger()
                await runs.wait_for(lambda runs, count=2 * restarts - 1: len(runs.jobs) == count)  # type: ignore[misc]  # the default binds the loop's value
                server.kill()  # with a job in hand
                runs.go_on.set()
                server.start()
                await records.trigger()
                await runs.wait_for(lambda runs, count=2 * restarts: len(set(runs.jobs)) == count)  # type: ignore[misc]  # the default binds the loop's value
        await store.close()


async def test_new_work_is_found_by_a_worker_whose_clock_is_behind(store: Store) -> None:
    records = Records(store)
    await records.campaign()
    trigger = await records.trigger()
    behind_ms = (await records.get(trigger)).trigger.create_ms - LIMITS["CLOCKS_DIFFER_MS"]
    assert await store.command("ZCOUNT", key(0, "queue", QUEUE), "-inf", behind_ms) == 1
