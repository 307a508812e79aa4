"""The public door's process, put together in one place."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator

import uvicorn
from aiohttp.abc import AbstractResolver

from clarion_core import logs, tasks
from clarion_core.configuration.file import read, read_as
from clarion_core.domain.errors import ClarionError
from clarion_core.exposition import Exposition
from clarion_core.hearing import Hearing
from clarion_core.settings import OFF, EdgeSettings, is_loopback
from clarion_core.store import promises, waiting
from clarion_core.store.campaigns import CampaignStore
from clarion_core.store.configurations import Configurations
from clarion_core.store.connection import connect
from clarion_core.store.facts import FactStore
from clarion_core.store.store import Store
from clarion_core.store.suppressions import Suppressions
from clarion_core.thresholds import Thresholds, own_thresholds
from clarion_edge.configuration import Receipts
from clarion_edge.door import Door
from clarion_edge.inlet import Inlet, InletPortTaken
from clarion_edge.patience import Impatient
from clarion_edge.receipt import Source
from clarion_edge.sources import opened
from clarion_edge.tally import Tally
from clarion_edge.vocabulary import Vocabulary

IN_HAND = 1_000  # requests at most; more are told to come again
READY_S = 2.0
_KEEP_ALIVE_S = 15

log = logs.get(__name__)


class PortTaken(Exception):
    """A port can't be bound; the message is for people."""


class _Http(uvicorn.Server):
    """uvicorn, without signal handlers of its own: the process has them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Edge:
    """The HTTP door and the SMTP inlet, with everything they stand on. `resolver` finds the hosts that it calls.

    `ChannelsInvalid` where a file does not fit.
    """

    def __init__(self, settings: EdgeSettings, resolver: AbstractResolver | None = None) -> None:
        self._settings, self._resolver = settings, resolver
        self._store = Store(connect(settings.redis_url))
        self._receipts = read_as(Receipts, settings.receipts, os.environ) if settings.receipts else Receipts()
        facts = FactStore(self._store, settings.shards, settings.retention_s)
        campaigns = CampaignStore(self._store, settings.shards, settings.retention_s)
        configurations, own = Configurations(self._store), read(settings.channels) if settings.channels else None
        thresholds = Thresholds(campaigns, configurations, own_thresholds(own))
        self._vocabulary = Vocabulary(configurations, own.sms if own else None)
        self._hearing = Hearing(facts, Suppressions(self._store), thresholds)
        self._tally = Tally()
        self.exposition = Exposition(settings.metrics, self._tally.read)
        self._sources: dict[str, Source] = {}
        self._inlet: Inlet | None = None
        self._http: _Http | None = None
        self._serving: asyncio.Task[None] | None = None
        self.port = self.mail_port = 0

    async def start(self) -> None:
        """Take requests as soon as the store is there. `PortTaken`, `MetricsPortTaken`; `StoreMismatch`."""
        await self.exposition.start()
        listening = self._bound()
        await waiting.until_there(self._meet_store, self._settings.store_address)
        self._sources = opened(self._receipts, os.environ, self._vocabulary, self._resolver)
        await self._start_inlet()
        door = Door(
            self._sources, self._hearing, self._tally, public_url=self._settings.public_url, ready=self._is_ready
        )
        self._http = _Http(self._config(door))
        self._serving = asyncio.create_task(self._http.serve(sockets=[listening]))
        self.port = listening.getsockname()[1]
        host = self._settings.edge_listen.rpartition(":")[0]
        told: dict[str, object] = {"mail": self.mail_port} if self._inlet else {}
        if self.exposition.address:
            told["metrics"] = self.exposition.address
        log.info("serving", address=f"{host}:{self.port}", sources=sorted(self._sources), **told)
        if not is_loopback(host):
            log.warning("open_to_the_network", listen=self._settings.edge_listen, meaning="a proxy should speak TLS")

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        starting, stopping = asyncio.create_task(self.start()), asyncio.create_task(stop.wait())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        try:
            if starting.done():
                starting.result()
                assert self._serving
                await asyncio.wait([stopping, self._serving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.end([starting, stopping])
            await self.stop()

    async def stop(self) -> None:
        """Take nothing new, let requests in hand finish for a while; once."""
        if self._http and self._serving:
            log.info("draining")
            self._http.should_exit = True
            await self._serving
        if self._inlet:
            await self._inlet.stop()
        for source in self._sources.values():
            await source.close()
        await self.exposition.stop()
        await self._store.close()
        if self._http:
            log.info("drained")
        self._http = self._inlet = None

    def _bound(self) -> socket.socket:
        host, _, port = self._settings.edge_listen.rpartition(":")
        try:
            return socket.create_server((host.strip("[]"), int(port)), family=_family(host), backlog=1024)
        except OSError:
            raise PortTaken(f"CLARION_EDGE_LISTEN {self._settings.edge_listen} can't be bound; is it in use?") from None

    async def _start_inlet(self) -> None:
        host, _, port = self._settings.edge_mail.rpartition(":")
        mail = self._receipts.mail
        if self._settings.edge_mail == OFF or mail is None:
            return
        self._inlet = Inlet(mail.domain, mail.held_secrets(os.environ), self._hearing, self._tally)
        try:
            self.mail_port = await self._inlet.start(host.strip("[]"), int(port))
        except InletPortTaken:
            raise PortTaken(f"CLARION_EDGE_MAIL {self._settings.edge_mail} can't be bound; is it in use?") from None

    def _config(self, door: Door) -> uvicorn.Config:
        return uvicorn.Config(
            door.app,
            http=Impatient,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # nothing of ours depends on who calls
            server_header=False,
            limit_concurrency=IN_HAND,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(1, round(self._settings.drain_s)),
        )

    async def _meet_store(self) -> None:
        await promises.check(self._store, self._settings.shards)
        await self._store.load()

    async def _is_ready(self) -> bool:
        try:
            async with asyncio.timeout(READY_S):
                await self._store.command("PING")
        except (ClarionError, TimeoutError):
            return False
        return True


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
