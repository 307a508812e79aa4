"""The worker process, put together in one place."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from clarion_core import logs, tasks
from clarion_core.configuration.file import read
from clarion_core.content.renderer import Renderer
from clarion_core.domain.worker import Load
from clarion_core.exposition import Exposition
from clarion_core.hearing import Hearing
from clarion_core.queue import LaneWorker
from clarion_core.settings import WorkerSettings
from clarion_core.store import promises, waiting
from clarion_core.store.campaigns import CampaignStore
from clarion_core.store.configurations import Configurations
from clarion_core.store.connection import connect, connect_blocking
from clarion_core.store.facts import FactStore
from clarion_core.store.store import Store
from clarion_core.store.suppressions import Suppressions
from clarion_core.store.upkeep import Upkeep
from clarion_core.store.workers import WorkerStore
from clarion_core.thresholds import Thresholds, own_thresholds
from clarion_workers.checking import Checker
from clarion_workers.deliver import Deliverer
from clarion_workers.following import Follower
from clarion_workers.lanes import Lanes
from clarion_workers.leases import Leases
from clarion_workers.messages import Composer
from clarion_workers.metrics import WorkerMetrics
from clarion_workers.presence import Presence, identity_of_this_process
from clarion_workers.revisions import Revisions
from clarion_workers.routers import Opener, Routers
from clarion_workers.run import Post
from clarion_workers.seeds import Seeding
from clarion_workers.sweep import Sweeper
from clarion_workers.tally import CountedBatches, Tally
from clarion_workers.windows import AllWindows

log = logs.get(__name__)


class PostRoom:
    """A worker process: a lane worker for every shard and lane, one renderer, one sweep."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        identity = identity_of_this_process(settings.served)
        self.name = identity.id
        self._redis, self._blocking = connect(settings.redis_url), connect_blocking(settings.redis_url)
        self._store = Store(self._redis)
        self._draining = asyncio.Event()
        self._told_to_end = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        campaigns = CampaignStore(self._store, settings.shards, settings.retention_s)
        self._suppressions = Suppressions(self._store)
        self._configurations = Configurations(self._store)
        own = read(settings.channels) if settings.channels else None
        thresholds = Thresholds(campaigns, self._configurations, own_thresholds(own))
        facts = FactStore(self._store, settings.shards, settings.retention_s)
        hearing = Hearing(facts, self._suppressions, thresholds)
        self._tally = Tally()
        opener = Opener(settings, self._store, hearing, self._tally.copies)
        self._routers = Routers(opener.own())
        self._reconfigured = asyncio.Event()
        self._follower = Follower(self._configurations, opener, self._routers, self._reconfigured)
        self._batches = batches = CountedBatches(
            self._store,
            tally=self._tally,
            worker=self.name,
            lease_ms=round(1000 * settings.lease_s),
            retention_s=settings.retention_s,
        )
        self._leases = Leases(batches, settings.shards, settings.lease_s)
        self._sweeper = Sweeper(
            batches=batches,
            campaigns=campaigns,
            upkeep=Upkeep(self._store, worker=self.name, retention_s=settings.retention_s),
            shards=settings.shards,
            every_s=settings.sweep_s,
        )
        self._renderer = Renderer.from_settings(settings)
        self._composer = Composer(Revisions(campaigns), self._renderer)
        self._seeding = Seeding(campaigns, self._composer, self._tally.seeds)
        self._windows = AllWindows(settings.window, settings.served)
        self._lanes = Lanes(self._lane_worker, lanes=settings.served, shards=settings.shards)
        self._presence = Presence(
            WorkerStore(self._store, settings.shards, settings.served),
            identity,
            load=self._load,
            lanes=self._lanes,
            told_to_end=self._told_to_end,
            draining=self._draining,
        )
        metrics = WorkerMetrics(identity, self._tally, self._leases, self._windows, self._sweeper)
        self.exposition = Exposition(settings.metrics, metrics.read)

    async def start(self) -> None:
        """Wait for the store, then take work. `StoreMismatch` if the store can't be used, `MetricsPortTaken` if metrics
        can't be exposed.
        """
        os.nice(self._settings.niceness)
        await self.exposition.start()
        await self._greet_store()
        await self._renderer.start()
        keepers = (
            self._presence.keep(),
            self._leases.keep(),
            self._sweeper.run(),
            self._follower.keep(),
            self._serve(),
            Checker(self._configurations, self._routers, self._follower, self.name).keep(),
        )
        self._tasks = [asyncio.create_task(coroutine) for coroutine in keepers]
        await self._routers.listen()
        self._lanes.start()
        exposed = {"metrics": self.exposition.address} if self.exposition.address else {}
        log.info("working", worker=self.name, lanes=self._settings.served, shards=self._settings.shards, **exposed)

    async def run(self) -> None:
        """Work until SIGTERM, SIGINT or DrainWorker, then drain."""
        stop = self._told_to_end
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        starting = asyncio.create_task(self.start())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            awaited: list[asyncio.Future[Any]] = [stopping, self._lanes.ended, *self._tasks]
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        for task in (starting, stopping):
            task.cancel()
        await self.stop()

    async def stop(self) -> None:
        """Drain and let go of everything, once; raises what ended one of the tasks before."""
        if self._draining.is_set():
            return
        failed = [
            task.exception() for task in [*self._tasks, *self._lanes.tasks] if task.done() and not task.cancelled()
        ]
        self._draining.set()
        await self._lanes.drain(self._settings.drain_s, self._settings.lease_s)
        log.info("drained", worker=self.name)
        await tasks.end([*self._tasks, *self._lanes.tasks])
        await self._presence.leave()
        await self.exposition.stop()
        await self._seeding.close()
        await self._routers.close()
        await self._renderer.close()
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
        await self._follower.follow()
        await self._presence.beat()  # so that it is seen, and knows which lanes are paused, before it takes anything
        return found

    async def _serve(self) -> None:
        """Take work at once of what comes to have providers."""
        while True:
            await self._reconfigured.wait()
            self._reconfigured.clear()
            self._lanes.look()

    def _lane_worker(self, shard: int, lane: str) -> LaneWorker:
        post = Post(
            lane=lane,
            batches=self._batches,
            leases=self._leases,
            composer=self._composer,
            suppressions=self._suppressions,
            windows=self._windows,
            draining=self._draining,
            seeding=self._seeding,
        )
        deliverer = Deliverer(post, self._routers)
        return LaneWorker(
            self._store,
            self._redis,
            self._blocking,
            shard=shard,
            lane=lane,
            deliver=deliverer.job,
            serves=deliverer.serves,
            media=lambda: self._routers.media,
            jobs=self._settings.jobs,
        )

    def _load(self) -> Load:
        return Load(
            deliveries=sum(in_use for _, _, in_use in self._windows.in_use()),
            batches=self._leases.held,
            rate_per_s=self._tally.rate_per_s(),
        )
