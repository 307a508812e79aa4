"""The worker process, put together in one place."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket

from clarion_core import logs, tasks
from clarion_core.content.renderer import Renderer
from clarion_core.domain.campaign import Category
from clarion_core.queue import LaneWorker
from clarion_core.settings import WorkerSettings
from clarion_core.store import promises, waiting
from clarion_core.store.batches import BatchStore
from clarion_core.store.campaigns import CampaignStore
from clarion_core.store.connection import connect, connect_blocking
from clarion_core.store.store import Store
from clarion_core.store.upkeep import Upkeep
from clarion_workers.channels.email import EmailChannel
from clarion_workers.channels.email.config import from_settings
from clarion_workers.deliver import Deliverer
from clarion_workers.leases import Leases
from clarion_workers.messages import Composer
from clarion_workers.revisions import Revisions
from clarion_workers.sweep import Sweeper
from clarion_workers.windows import Windows

LANES = tuple(category.value for category in Category)

log = logs.get(__name__)


class PostRoom:
    """A worker process: a lane worker for every shard and lane, one renderer, one channel, one sweep."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._redis, self._blocking = connect(settings.redis_url), connect_blocking(settings.redis_url)
        self._store = Store(self._redis)
        self._draining = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._email = EmailChannel(from_settings(settings))
        campaigns = CampaignStore(self._store, settings.shards)
        batches = BatchStore(
            self._store, worker=self.name, lease_ms=round(1000 * settings.lease_s), retention_s=settings.retention_s
        )
        self._leases = Leases(batches, settings.shards, settings.lease_s)
        self._sweeper = Sweeper(
            batches=batches,
            campaigns=campaigns,
            upkeep=Upkeep(self._store, worker=self.name),
            shards=settings.shards,
            every_s=settings.sweep_s,
        )
        self._renderer = Renderer.from_settings(settings)
        composer = Composer(Revisions(campaigns), self._renderer)
        windows = Windows.of_lanes(settings.window, LANES)
        self._lanes = [
            LaneWorker(
                self._redis,
                self._blocking,
                shard=shard,
                lane=lane,
                deliver=Deliverer(
                    batches=batches,
                    leases=self._leases,
                    composer=composer,
                    email=self._email,
                    windows=windows[lane],
                    draining=self._draining,
                ).job,
                jobs=settings.jobs,
                lease_s=settings.lease_s,
            )
            for lane in LANES
            for shard in range(settings.shards)
        ]

    async def start(self) -> None:
        """Wait for the store, then take work. `StoreMismatch` if the store can't be used."""
        await self._greet_store()
        await self._renderer.start()
        self._tasks = [
            asyncio.create_task(coroutine)
            for coroutine in (self._leases.keep(), self._sweeper.run(), *(lane.async_run() for lane in self._lanes))
        ]
        log.info("working", worker=self.name, lanes=LANES, shards=self._settings.shards)

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT, then drain."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        starting = asyncio.create_task(self.start())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await asyncio.wait([stopping, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in (starting, stopping):
            task.cancel()
        await self.stop()

    async def stop(self) -> None:
        """Drain and let go of everything, once; raises what ended one of the tasks before."""
        if self._draining.is_set():
            return
        failed = [task.exception() for task in self._tasks if task.done() and not task.cancelled()]
        await self._drain()
        await tasks.end(self._tasks)
        await self._renderer.close()
        await self._email.close()
        await self._store.close()
        await self._blocking.aclose()
        for error in failed:
            if error:
                raise error

    async def _greet_store(self) -> None:
        """Wait for the store, load the functions, say what it promises."""
        found = await waiting.until_there(self._meet_store, self._settings.store_address)
        log.info("store_found", server=found.server, version=found.version, appendfsync=found.appendfsync)
        for warning in found.warnings:
            log.warning("store_weak", warning=warning)

    async def _meet_store(self) -> promises.Promises:
        found = await promises.check(self._store, self._settings.shards)
        await self._store.load()
        return found

    async def _drain(self) -> None:
        """Start nothing new, finish the windows in flight, hand the rest back; cut off what takes too long."""
        self._draining.set()
        for lane in self._lanes:
            lane.drain()
        running = [task for lane in self._lanes for task in lane.tasks.values() if not task.done()]
        log.info("draining", worker=self.name, batches=len(running))
        if running:
            _, late = await asyncio.wait(running, timeout=self._settings.drain_s)
            jobs = [job for lane in self._lanes for job in lane.job_tasks.values()]
            if late and jobs:
                log.warning("drain_cut_off", batches=len(late))
                for job in jobs:
                    job.cancel()
                await asyncio.wait(late, timeout=self._settings.lease_s)
        log.info("drained", worker=self.name)
