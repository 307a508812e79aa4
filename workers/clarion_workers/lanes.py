"""The lanes of a worker process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from clarion_core import logs
from clarion_core.queue import LaneWorker

Make = Callable[[int, str], LaneWorker]

log = logs.get(__name__)


class Lanes:
    """A lane worker for each lane and shard, made when it is started. `ended` is done once one of them is.

    `paused` names the lanes that nothing is taken from.
    """

    def __init__(self, make: Make, *, lanes: Sequence[str], shards: int) -> None:
        self._make, self._lanes, self._shards = make, lanes, shards
        self._workers: list[LaneWorker] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.paused: frozenset[str] = frozenset()
        self._draining = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __iter__(self) -> Iterator[LaneWorker]:
        return iter(self._workers)

    def start(self) -> None:
        """Take work from now on, unless told to drain before."""
        for lane in self._lanes:
            for shard in range(self._shards):
                if self._draining:
                    return
                self._start(self._make(shard, lane))

    def look(self) -> None:
        """Have all look what there is: something else may be served now."""
        for worker in self._workers:
            worker.look()

    def pause(self, lanes: frozenset[str]) -> None:
        """Take nothing from these lanes, and from all others again."""
        for worker in self._workers:
            if worker.lane in lanes and not worker.is_paused:
                worker.pause()
            elif worker.lane not in lanes and worker.is_paused:
                worker.resume()
        for lane in sorted(lanes ^ self.paused):
            log.info("lane_paused" if lane in lanes else "lane_resumed", lane=lane)
        self.paused = lanes

    async def drain(self, drain_s: float, cut_off_s: float) -> None:
        """Start nothing new and let what runs end; what takes longer than `drain_s` is cut off."""
        self._draining = True
        for worker in self._workers:
            worker.drain()
        running = [task for worker in self._workers for task in worker.tasks.values() if not task.done()]
        log.info("draining", batches=len(running))
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=drain_s)
        jobs = [job for worker in self._workers for job in worker.job_tasks.values()]
        if late and jobs:
            log.warning("drain_cut_off", batches=len(late))
            for job in jobs:
                job.cancel()
            await asyncio.wait(late, timeout=cut_off_s)

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What runs them, to be ended."""
        return list(self._tasks)

    def _start(self, worker: LaneWorker) -> None:
        if worker.lane in self.paused:
            worker.pause()
        self._workers.append(worker)
        task = asyncio.create_task(worker.async_run())
        task.add_done_callback(self._note_end)
        self._tasks.append(task)

    def _note_end(self, _task: asyncio.Task[None]) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
