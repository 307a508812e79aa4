"""The calls under way at each endpoint: bounded, so that a slow one holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager


class Busy(Exception):
    """An endpoint had as many calls under way as it may have, for as long as one waits for that."""


class _Gate:
    def __init__(self, bound: int) -> None:
        self.places = asyncio.Semaphore(bound)
        self.users = 0


class Endpoints:
    """At most `bound` calls at once at one host and port; whoever waits does so for `wait_s` seconds at most."""

    def __init__(self, bound: int, wait_s: float) -> None:
        self._bound, self._wait_s = bound, wait_s
        self._gates: dict[str, _Gate] = {}

    @property
    def known(self) -> Collection[str]:
        """The origins that are being called, or waited for."""
        return self._gates.keys()

    @asynccontextmanager
    async def turn(self, origin: str) -> AsyncIterator[None]:
        """A place among the calls of this origin. `Busy` where none became free in time."""
        gate = self._gates.get(origin) or self._gates.setdefault(origin, _Gate(self._bound))
        gate.users += 1
        try:
            if gate.places.locked():
                await self._wait(gate)
            else:
                await gate.places.acquire()  # at once
            try:
                yield
            finally:
                gate.places.release()
        finally:
            gate.users -= 1
            if not gate.users:
                del self._gates[origin]

    async def _wait(self, gate: _Gate) -> None:
        try:
            async with asyncio.timeout(self._wait_s):
                await gate.places.acquire()
        except TimeoutError:
            raise Busy from None
