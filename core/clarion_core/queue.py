"""What Clarion knows of arq, on the reading side; the writing side is `enqueue` in store/functions/base.lua.

arq is the carrier, never the judge. Jobs are written by our functions in the step that writes what they are about;
arq's worker finds and runs them. `LaneWorker` differs from arq's in three ways: it is woken instead of polling, it
outlives a restart of Redis, and it leaves locking, counting and removing of jobs to the functions that claim
batches, so that arq never drops work by itself. A conformance test runs our jobs on arq's own worker.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

from arq.connections import ArqRedis
from arq.typing import WorkerCoroutine
from arq.worker import Function, Worker, func
from redis.asyncio import Redis
from redis.exceptions import RedisError

from clarion_core import logs
from clarion_core.domain.medium import Medium
from clarion_core.store.keys import key, queue_of

JOB = "deliver"
POLL_S = 0.5  # the timer behind the wake tokens: a lost token costs this much
OUTAGE_POLL_S = 0.5
REST_S = 1.0  # a job that left its place in the queue as it was is not started again before
_NEVER_S = 365 * 86_400

log = logs.get(__name__)
Deliver = Callable[[dict[str, Any], str, str, str, int], Awaitable[None]]


def serialize(job: dict[str, Any]) -> bytes:
    """A job as JSON: no pickle, so whoever writes to Redis can't run code here."""
    return json.dumps(job, default=repr).encode()


def deserialize(blob: bytes) -> dict[str, Any]:
    """The reverse of `serialize`, and of what the Lua functions write."""
    job: dict[str, Any] = json.loads(blob)
    return job


def job_function(deliver: Deliver) -> Function:
    """The one job there is. It must not raise: arq would drop the work, and the sweep would have to find it."""
    return func(cast("WorkerCoroutine", deliver), name=JOB, keep_result=0, timeout=_NEVER_S, max_tries=1_000_000)


def job_parts(job_id: str) -> tuple[str, str, str, int]:
    """Shard, via, batch and epoch of a job, as its id has them: `{shard}:via:batch:epoch`."""
    shard, _, rest = job_id[1:].partition("}:")
    via, _, rest = rest.partition(":")
    batch, _, epoch = rest.rpartition(":")
    return shard, via, batch, int(epoch)


class LaneWorker(Worker):
    """arq's worker for one medium of one lane of one shard, woken by tokens.

    Work starts on the first of: a wake token, the end of a job of its own, a timer of at most half a second that ends
    early for the next due job. Tokens are waited for with a free slot only, so that they reach a worker that can act.
    """

    def __init__(
        self, redis: Redis, blocking: Redis, *, shard: int, lane: str, medium: Medium, deliver: Deliver, jobs: int
    ) -> None:
        super().__init__(
            functions=[job_function(deliver)],
            queue_name=key(shard, "queue", queue_of(lane, medium)),
            redis_pool=ArqRedis(connection_pool=redis.connection_pool),
            handle_signals=False,
            max_jobs=jobs,
            poll_delay=POLL_S,
            queue_read_limit=max(8 * jobs, 100),
        )
        self.lane, self.medium = lane, medium
        self._deliver = deliver
        self._ended: OrderedDict[str, float] = OrderedDict()  # jobs by when they ended, the last seconds
        self.is_paused = False
        self._wake_key = key(shard, "wake", queue_of(lane, medium))
        self._blocking: Any = blocking
        self._ready = asyncio.Event()  # something may be there to start
        self._free = asyncio.Event()  # a slot is free
        self._free.set()

    async def main(self) -> None:
        """Run until drained or cancelled. A store that is away is waited for."""
        waker = asyncio.create_task(self._take_tokens())
        away = False
        try:
            while self.allow_pick_jobs:
                try:
                    await self._poll_iteration()
                    pause_s = await self._next_due_s()
                    if away:
                        log.info("store_back", queue=self.queue_name)
                    away = False
                except (RedisError, OSError) as error:
                    if not away:
                        log.warning("store_away", queue=self.queue_name, error=type(error).__name__)
                    away, pause_s = True, OUTAGE_POLL_S
                await self._wait(pause_s)
        finally:
            waker.cancel()
            await asyncio.gather(waker, return_exceptions=True)

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Start what is due, as many as there are slots.

        arq would lock each job, read its record and count its tries, in five round trips. The claim is our lock, and
        the id says all that the record does: a job that two workers start is claimed by one of them. The claim, or what
        follows, takes the job out of the queue or moves it; one that is still there when it ended rests for a while.
        """
        self._forget()
        for job_id in map(bytes.decode, job_ids):
            if self.is_paused or self.job_counter >= self.max_jobs:
                return
            if job_id in self.job_tasks or job_id in self._ended:
                continue
            await self.sem.acquire()
            self.job_counter += 1
            task = self.loop.create_task(self._run(job_id))
            task.add_done_callback(lambda _: self._release_sem_dec_counter_on_complete())
            self.tasks[job_id] = self.job_tasks[job_id] = task

    async def _run(self, job_id: str) -> None:
        try:
            await self._deliver({"job_id": job_id}, *job_parts(job_id))
        except asyncio.CancelledError:
            log.warning("job_cut_off", job=job_id)
        finally:
            del self.job_tasks[job_id]
            self._ended[job_id] = self.loop.time()
            self.jobs_complete += 1

    def _forget(self) -> None:
        """Jobs that ended a while ago may be started again."""
        while self._ended:
            job_id, ended = next(iter(self._ended.items()))
            if self.loop.time() - ended < REST_S:
                return
            del self._ended[job_id]

    def pause(self) -> None:
        """Start nothing new until resumed; what runs goes on. What is being started at this moment may still start."""
        self.is_paused = True
        self._free.clear()

    def resume(self) -> None:
        """Take work again."""
        self.is_paused = False
        self._ready.set()

    def drain(self) -> None:
        """Start nothing new; what runs goes on."""
        self.allow_pick_jobs = False
        self._free.clear()
        if self.main_task:
            self.main_task.cancel()  # it may be about to start one

    async def _wait(self, seconds: float) -> None:
        if self.job_counter < self.max_jobs and self.allow_pick_jobs and not self.is_paused:
            self._free.set()
        else:
            self._free.clear()
        # Not `wait_for`: in Python 3.11 it loses a cancellation that meets the end of what it waits for.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ready.wait()
        self._ready.clear()

    async def _next_due_s(self) -> float:
        if self.is_paused or self.job_counter >= self.max_jobs:
            return POLL_S
        known = {**self.job_tasks, **self._ended}  # what is started, and may not have moved yet, is not waited for
        first = await self.pool.zrange(self.queue_name, 0, len(known), withscores=True)
        due = [score for job_id, score in first if job_id.decode() not in known]
        return min(POLL_S, max(0.005, due[0] / 1000 - time.time())) if due else POLL_S

    async def _take_tokens(self) -> None:
        while self.allow_pick_jobs:
            await self._free.wait()
            try:
                token = await self._blocking.blpop([self._wake_key], timeout=POLL_S)
            except (RedisError, OSError):
                await asyncio.sleep(OUTAGE_POLL_S)
                continue
            if token:
                self._ready.set()

    def _release_sem_dec_counter_on_complete(self) -> None:
        super()._release_sem_dec_counter_on_complete()
        self._ready.set()
