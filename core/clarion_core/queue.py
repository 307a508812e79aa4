"""What Clarion knows of arq, on the reading side; the writing side is `enqueue` in store/functions/base.lua.

arq is the carrier, never the judge. Jobs are written by our functions in the step that writes what they are about;
arq's worker finds and runs them. `LaneWorker` differs from arq's in four ways: it takes from many queues, it is woken
instead of polling, it outlives a restart of Redis, and it leaves locking, counting and removing of jobs to the
functions that claim batches, so that arq never drops work by itself. A conformance test runs our jobs on arq's own
worker.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from arq.connections import ArqRedis
from arq.typing import WorkerCoroutine
from arq.worker import Function, Worker, func
from redis.asyncio import Redis
from redis.exceptions import RedisError

from clarion_core import logs
from clarion_core.domain.errors import ClarionError
from clarion_core.domain.medium import Medium
from clarion_core.store.keys import key, queue_of
from clarion_core.store.queues import Queue, Queues
from clarion_core.store.store import Store

JOB = "deliver"
POLL_S = 0.5  # the timer behind the wake tokens: a lost token costs this much
OUTAGE_POLL_S = 0.5
REST_S = 1.0  # a job that left its place in the queue as it was is not started again before
QUEUES_AT_ONCE = 16  # so many may have all their slots taken before others find none
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


@dataclass(slots=True)
class _Taken:
    """Jobs of one queue: those that run, and those that ended lately, by when (s)."""

    running: set[str] = field(default_factory=set)
    ended: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self.running or job_id in self.ended

    def __len__(self) -> int:
        return len(self.running) + len(self.ended)


class LaneWorker(Worker):
    """arq's worker for one lane of one shard, woken by tokens. It takes from each of the lane's queues that `serves`
    says yes to, up to `jobs` batches at once, so that one that is slow has no more than its own slots.

    Work starts on the first of: a wake token, the end of a job of its own, a timer of at most half a second that ends
    early for the next due job. Tokens of a queue are waited for with a free slot only, so that they reach a worker
    that can act; those of a queue that was empty are its medium's, one of `media()`.
    """

    def __init__(
        self,
        store: Store,
        redis: Redis,
        blocking: Redis,
        *,
        shard: int,
        lane: str,
        deliver: Deliver,
        serves: Callable[[Queue, int], bool],
        media: Callable[[], set[Medium]],
        jobs: int,
    ) -> None:
        super().__init__(
            functions=[job_function(deliver)],
            queue_name=key(shard, "queue", lane),
            redis_pool=ArqRedis(connection_pool=redis.connection_pool),
            handle_signals=False,
            max_jobs=QUEUES_AT_ONCE * jobs,
            poll_delay=POLL_S,
        )
        self.lane = lane
        self._shard, self._jobs = shard, jobs
        self._queues, self._blocking = Queues(store), cast("Any", blocking)
        self._deliver, self._serves, self._media = deliver, serves, media
        self._taken: defaultdict[str, _Taken] = defaultdict(_Taken)
        self._served: list[str] = []  # vias of the queues that held something when they were last looked at
        self.is_paused = False
        self._ready = asyncio.Event()  # something may be there to start
        self._free = asyncio.Event()  # there are slots, and what there is was looked at
        self._free.set()

    async def main(self) -> None:
        """Run until drained or cancelled. A store that is away is waited for."""
        waker = asyncio.create_task(self._take_tokens())
        away = False
        try:
            while self.allow_pick_jobs:
                try:
                    pause_s = await self._start_due()
                    self._collect()
                    await self.record_health()
                    if away:
                        log.info("store_back", lane=self.lane)
                    away = False
                except (RedisError, OSError, ClarionError) as error:
                    if not away:
                        log.warning("store_away", lane=self.lane, error=type(error).__name__)
                    away, pause_s = True, OUTAGE_POLL_S
                await self._wait(pause_s)
        finally:
            waker.cancel()
            await asyncio.gather(waker, return_exceptions=True)

    async def _start_due(self) -> float:
        """Start what is due, as much as there are slots for; in how many seconds the next will be, POLL_S at most."""
        self._forget()
        if not self._has_slots:
            return POLL_S
        limits = {via: self._limit(taken) for via, taken in self._taken.items()}
        now_ms, found = await self._queues.first(self._shard, self.lane, self._jobs + 1, limits)
        served = [queue for queue in found if self._serves(queue, now_ms)]
        self._served = [queue.via for queue in served]
        next_ms = now_ms + round(1000 * POLL_S)
        for queue in sorted(served, key=lambda queue: len(self._taken[queue.via].running)):
            next_ms = min(next_ms, self._start(queue, now_ms, next_ms))
        return max(0.005, (next_ms - now_ms) / 1000)

    def _limit(self, taken: _Taken) -> int:
        """How many jobs to read of a queue: those that are known may stand before those to start."""
        free = self._jobs - len(taken.running)
        return free + len(taken) + 1 if free > 0 else 0

    def _start(self, queue: Queue, now_ms: int, next_ms: int) -> int:
        """Start what is due of a queue, as much as it has slots. When its next is due, if that is before `next_ms`.

        arq would lock each job, read its record and count its tries, in five round trips. The claim is our lock, and
        the id says all that the record does: a job that two workers start is claimed by one of them. The claim, or what
        follows, takes the job out of the queue or moves it; one that is still there when it ended rests for a while.
        """
        taken = self._taken[queue.via]
        for job_id, due_ms in queue.jobs:
            if job_id in taken:
                continue
            if not self._has_slots or len(taken.running) >= self._jobs:
                break
            if due_ms > now_ms:
                return min(next_ms, due_ms)
            taken.running.add(job_id)
            self.job_counter += 1
            task = self.loop.create_task(self._run(job_id, taken))
            task.add_done_callback(self._let_go)
            self.tasks[job_id] = self.job_tasks[job_id] = task
        return next_ms

    async def _run(self, job_id: str, taken: _Taken) -> None:
        try:
            await self._deliver({"job_id": job_id}, *job_parts(job_id))
        except asyncio.CancelledError:
            log.warning("job_cut_off", job=job_id)
        finally:
            del self.job_tasks[job_id]
            taken.running.discard(job_id)
            taken.ended[job_id] = self.loop.time()
            self.jobs_complete += 1

    def _let_go(self, _task: asyncio.Task[None]) -> None:
        self.job_counter -= 1
        self._ready.set()

    def _collect(self) -> None:
        """Forget tasks that are done; raises what none of them should have."""
        for job_id, task in [pair for pair in self.tasks.items() if pair[1].done()]:
            del self.tasks[job_id]
            task.result()

    def _forget(self) -> None:
        """Jobs that ended a while ago may be started again."""
        until = self.loop.time() - REST_S
        for via, taken in list(self._taken.items()):
            while taken.ended and next(iter(taken.ended.values())) < until:
                taken.ended.popitem(last=False)
            if not taken:
                del self._taken[via]

    @property
    def _has_slots(self) -> bool:
        return self.allow_pick_jobs and not self.is_paused and self.job_counter < self.max_jobs

    def look(self) -> None:
        """Look what there is: something else may be served now."""
        self._ready.set()

    def pause(self) -> None:
        """Start nothing new until resumed; what runs goes on."""
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
            self.main_task.cancel()

    async def _wait(self, seconds: float) -> None:
        if self._has_slots and not self._ready.is_set():
            self._free.set()
        else:
            self._free.clear()
        # Not `wait_for`: in Python 3.11 it loses a cancellation that meets the end of what it waits for.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ready.wait()
        self._ready.clear()

    async def _take_tokens(self) -> None:
        while self.allow_pick_jobs:
            await self._free.wait()
            try:
                token = await self._blocking.blpop(self._wake_keys(), timeout=POLL_S)
            except (RedisError, OSError):
                await asyncio.sleep(OUTAGE_POLL_S)
                continue
            if token:
                self._free.clear()  # until the queue that the token was for is known
                self._ready.set()

    def _wake_keys(self) -> list[str]:
        """One of a queue with a free slot, and of each medium for those that are not known yet."""
        free = [via for via in self._served if via not in self._taken or len(self._taken[via].running) < self._jobs]
        return [key(self._shard, "wake", queue_of(self.lane, via)) for via in [*sorted(self._media()), *free]]
