"""Readiness follows the store, liveness does not: the standard health service, one entry a service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from grpc_health.v1 import health, health_pb2

from clarion_core import logs
from clarion_core.domain.errors import ClarionError
from clarion_core.store import promises
from clarion_core.store.store import Store

LIVENESS = "liveness"
CHECK_S = 1.0
FULL = 0.8  # of maxmemory: no new work is taken above, so that accepted work can end

log = logs.get(__name__)


class Readiness:
    """Asks the store every second, and tells the health service and whoever accepts work."""

    def __init__(self, store: Store, services: Sequence[str]) -> None:
        self.servicer = health.aio.HealthServicer()
        self._store, self._services = store, ("", *services)
        self._ready: bool | None = None
        self._draining = False
        self.used, self.limit = 0, 0

    @property
    def is_full(self) -> bool:
        """Whether the store is too full for new work."""
        return bool(self.limit) and self.used > FULL * self.limit

    async def start(self) -> None:
        """Alive, and not ready before the store was asked."""
        await self.servicer.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
        await self._say(ready=False)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.check()
            await asyncio.sleep(CHECK_S)

    async def check(self) -> None:
        """Ask once."""
        try:
            async with asyncio.timeout(5 * CHECK_S):
                self.used, self.limit = await promises.memory(self._store)
        except (ClarionError, TimeoutError):
            await self._say(ready=False)
        else:
            await self._say(ready=not self._draining)

    async def drain(self) -> None:
        """Not ready any more, for good; alive until the end."""
        self._draining = True
        await self._say(ready=False)

    async def _say(self, *, ready: bool) -> None:
        if ready == self._ready:
            return
        if self._ready is not None:
            (log.info if ready or self._draining else log.warning)("readiness_changed", ready=ready)
        self._ready = ready
        state = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in self._services:
            await self.servicer.set(service, state)
