"""The server process, put together in one place."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from clarion.v1 import (
    campaign_service_pb2,
    campaign_service_pb2_grpc,
    channel_configuration_service_pb2,
    channel_configuration_service_pb2_grpc,
    delivery_service_pb2,
    delivery_service_pb2_grpc,
    suppression_service_pb2,
    suppression_service_pb2_grpc,
    trigger_service_pb2,
    trigger_service_pb2_grpc,
    worker_service_pb2,
    worker_service_pb2_grpc,
)
from clarion_core import logs, tasks
from clarion_core.content.renderer import Renderer
from clarion_core.domain.campaign import LANES
from clarion_core.exposition import Exposition
from clarion_core.settings import ServerSettings, is_loopback
from clarion_core.store import promises, waiting
from clarion_core.store.accepting import AcceptStore
from clarion_core.store.campaigns import CampaignStore
from clarion_core.store.configurations import Configurations
from clarion_core.store.connection import connect, connect_blocking
from clarion_core.store.dead_letters import DeadLetterStore
from clarion_core.store.events import EventStore
from clarion_core.store.store import Store
from clarion_core.store.suppressions import AllowLists, Suppressions
from clarion_core.store.triggers import TriggerStore
from clarion_core.store.upkeep import Upkeep
from clarion_core.store.workers import WorkerStore
from clarion_server.campaign_service import CampaignService
from clarion_server.campaigning import Campaigns
from clarion_server.catalogue import Catalogue
from clarion_server.commit import Committer
from clarion_server.configuration_service import ChannelConfigurationService
from clarion_server.configuring import TEST_S, Configuring
from clarion_server.dead_letters import DeadLetters
from clarion_server.delivery_service import DeliveryService
from clarion_server.edge import MAX_REQUEST, Edge
from clarion_server.health import Readiness
from clarion_server.metrics import ServerMetrics
from clarion_server.repeats import Repeats
from clarion_server.suppression_service import SuppressionService
from clarion_server.trigger_service import TriggerService
from clarion_server.triggering import Triggers
from clarion_server.watch import HEARTBEAT_S, Watches
from clarion_server.worker_service import WorkerService

SERVICES = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (campaign_service_pb2, "CampaignService"),
        (trigger_service_pb2, "TriggerService"),
        (delivery_service_pb2, "DeliveryService"),
        (worker_service_pb2, "WorkerService"),
        (suppression_service_pb2, "SuppressionService"),
        (channel_configuration_service_pb2, "ChannelConfigurationService"),
    )
)

WITH_FILES = ("CreateCampaign", "UpdateCampaign")
"""The methods whose requests have room for files, beside what all requests have."""

STREAMS = 200  # calls that one connection may have open, watches among them; more wait at the caller

log = logs.get(__name__)


class Server:
    """A gRPC server with everything it stands on."""

    def __init__(self, settings: ServerSettings, *, heartbeat_s: float = HEARTBEAT_S, test_s: float = TEST_S) -> None:
        self._settings, self._test_s = settings, test_s
        self._store = Store(connect(settings.redis_url))
        self._blocking = Store(connect_blocking(settings.redis_url))
        self._readiness = Readiness(self._store, SERVICES)
        self._renderer = Renderer.from_settings(settings)
        larger = dict.fromkeys(WITH_FILES, MAX_REQUEST + settings.file_limits.bytes)
        self._edge = Edge(max_calls=settings.max_calls, max_watches=settings.max_watches, larger=larger)
        self._watches = Watches(EventStore(self._store, self._blocking), settings.shards, heartbeat_s)
        accepting = AcceptStore(self._store)
        self._committers = {
            (shard, lane): Committer(accepting, shard, settings.accept_queue_mib << 20)
            for shard in range(settings.shards)
            for lane in LANES
        }
        self._workers = WorkerStore(self._store, settings.shards, LANES)
        metrics = ServerMetrics(
            self._store,
            self._workers,
            Upkeep(self._store, worker="", retention_s=settings.retention_s),
            self._edge.calls,
            settings.shards,
        )
        self.exposition = Exposition(settings.metrics, metrics.read)
        self._tasks: list[asyncio.Task[None]] = []
        self._server: grpc.aio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Answer, UNAVAILABLE at first, and take calls as soon as the store is there. `StoreMismatch` if it can't be
        used, `MetricsPortTaken` if metrics can't be exposed.
        """
        await self.exposition.start()
        self._server = self._build()
        await self._readiness.start()
        self.port = self._server.add_insecure_port(self._settings.listen)
        await self._server.start()
        await self._greet_store()
        await self._renderer.start()
        self._spawn(self._readiness.run(), self._watches.run(), *(c.run() for c in self._committers.values()))
        self._edge.open = True
        host = self._settings.listen.rpartition(":")[0]
        if not is_loopback(host):
            log.warning(
                "open_to_the_network",
                listen=self._settings.listen,
                meaning="whoever can reach this port is trusted with every workspace",
            )
        exposed = {"metrics": self.exposition.address} if self.exposition.address else {}
        log.info("serving", address=f"{host}:{self.port}", **exposed)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        starting = asyncio.create_task(self.start())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        try:
            if starting.done():
                starting.result()
                await asyncio.wait([stopping, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (starting, stopping):
                task.cancel()
            await self.stop()

    async def stop(self) -> None:
        """Refuse what is new, let calls in hand finish for a while, end watches so that they resume elsewhere; once."""
        if self._edge.draining:
            return
        served = self._edge.open
        if served:
            log.info("draining")
        self._edge.draining = True
        await self._readiness.drain()
        self._watches.drain()
        if self._server is not None:
            await self._server.stop(self._settings.drain_s)
        await self.exposition.stop()
        failed = [task.exception() for task in self._tasks if task.done() and not task.cancelled()]
        await tasks.end(self._tasks)
        await self._renderer.close()
        await self._store.close()
        await self._blocking.close()
        if served:
            log.info("drained")
        for error in failed:
            if error:
                raise error

    def _build(self) -> grpc.aio.Server:
        settings, store = self._settings, self._store
        campaigns = CampaignStore(store, settings.shards, settings.retention_s)
        trigger_store = TriggerStore(store, settings.shards, settings.retention_s)
        triggers = Triggers(
            store=trigger_store,
            catalogue=Catalogue(campaigns),
            committer_of=lambda shard, lane: self._committers[shard, lane],
            readiness=self._readiness,
            shards=settings.shards,
        )
        repeats = Repeats(store)
        dead_letters = DeadLetters(
            DeadLetterStore(store, settings.shards, settings.retention_s), trigger_store, campaigns
        )
        server = grpc.aio.server(interceptors=[self._edge], options=_options(settings))
        configuring = Configuring(Configurations(store), campaigns, self._blocking, test_s=self._test_s)
        campaign_service_pb2_grpc.add_CampaignServiceServicer_to_server(
            CampaignService(Campaigns(campaigns, self._renderer, configuring.content_problems, settings.file_limits)),
            server,
        )
        channel_configuration_service_pb2_grpc.add_ChannelConfigurationServiceServicer_to_server(
            ChannelConfigurationService(configuring), server
        )
        trigger_service_pb2_grpc.add_TriggerServiceServicer_to_server(
            TriggerService(triggers, self._watches, repeats), server
        )
        delivery_service_pb2_grpc.add_DeliveryServiceServicer_to_server(
            DeliveryService(triggers, trigger_store, dead_letters, repeats, settings.message_id_domain), server
        )
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(WorkerService(self._workers), server)
        suppression_service_pb2_grpc.add_SuppressionServiceServicer_to_server(
            SuppressionService(Suppressions(store), AllowLists(store), repeats), server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._readiness.servicer, server)
        if settings.reflection:
            reflection.enable_server_reflection((*SERVICES, "grpc.health.v1.Health", reflection.SERVICE_NAME), server)
        return server

    async def _greet_store(self) -> None:
        """Load the functions and say what the store promises, once it is there."""
        found = await waiting.until_there(self._meet_store, self._settings.store_address)
        log.info(
            "store_found",
            server=found.server,
            version=found.version,
            appendonly=found.appendonly,
            appendfsync=found.appendfsync,
            eviction=found.eviction,
            maxmemory=found.maxmemory,
        )
        for warning in found.warnings:
            log.warning("store_weak", warning=warning)

    async def _meet_store(self) -> promises.Promises:
        found = await promises.check(self._store, self._settings.shards)
        await self._store.load()
        await self._readiness.check()
        return found

    def _spawn(self, *coroutines: Coroutine[None, None, None]) -> None:
        self._tasks += [asyncio.create_task(coroutine) for coroutine in coroutines]


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    return [
        # Above the contract's limits, so that they are ours to explain and not the transport's.
        ("grpc.max_receive_message_length", 2 * MAX_REQUEST + settings.file_limits.bytes),
        # The default of 1,000 answers a burst with CANCELLED, which no retry policy repeats.
        ("grpc.server.max_pending_requests", 2 * settings.max_calls + 10_000),
        ("grpc.server.max_pending_requests_hard_limit", 4 * settings.max_calls + 20_000),
        # What waits at the transport costs memory and time before any limit of ours can refuse it. Callers hold back
        # what is more, as HTTP/2 has them do; gRPC's own protection would reset it and say nothing.
        ("grpc.max_concurrent_streams", STREAMS),
        ("grpc.http.overload_protection", 0),
        ("grpc.so_reuseport", 0),  # a second server on the port is a mistake, not a helper
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]
