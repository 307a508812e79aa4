"""The calls under way at each endpoint: bounded, so that a slow one holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import TransientFailure
from clarion_workers.channels.http import NoTurn

BUSY = TransientFailure(
    reason=Reason.RECIPIENT_DEFERRED, detail="not called: as many calls as may be are under way at its host"
)


class Endpoints:
    """At most `bound` calls at once at one host and port; whoever waits does so for `wait_s` seconds at most."""

    def __init__(self, bound: int, wait_s: float) -> None:
        self._bound, self.wait_s = bound, wait_s
        self._gates: dict[str, _Gate] = {}

    @property
    def known(self) -> Collection[str]:
        """The origins that are being called, or waited for."""
        return self._gates.keys()

    def turn(self, origin: str, room: asyncio.Semaphore) -> Turn:
        """A place among the calls of this origin, and then one in the room that all calls share."""
        return Turn(self, origin, room)

    def enter(self, origin: str) -> _Gate:
        """Count one more who calls, or waits."""
        gate = self._gates.get(origin)
        if gate is None:
            gate = self._gates[origin] = _Gate(self._bound)
        gate.users += 1
        return gate

    def leave(self, origin: str, gate: _Gate) -> None:
        """Count one less; of an endpoint that nobody calls nothing is kept."""
        gate.users -= 1
        if not gate.users:
            del self._gates[origin]


class _Gate:
    def __init__(self, bound: int) -> None:
        self.places = asyncio.Semaphore(bound)
        self.users = 0


class Turn:
    """What a call waits for, and holds. `NoTurn` where it has waited long enough.

    Written out, since one is made for every message: two context managers made of generators take 30 microseconds.
    """

    __slots__ = ("_endpoints", "_gate", "_origin", "_room")

    def __init__(self, endpoints: Endpoints, origin: str, room: asyncio.Semaphore) -> None:
        self._endpoints, self._origin, self._room = endpoints, origin, room

    async def __aenter__(self) -> None:
        self._gate = gate = self._endpoints.enter(self._origin)
        try:
            await self._place(gate)
            try:
                await self._room.acquire()
            except BaseException:
                gate.places.release()
                raise
        except BaseException:
            self._endpoints.leave(self._origin, gate)
            raise

    async def __aexit__(self, *_: object) -> None:
        self._room.release()
        self._gate.places.release()
        self._endpoints.leave(self._origin, self._gate)

    async def _place(self, gate: _Gate) -> None:
        if not gate.places.locked():
            await gate.places.acquire()  # at once
            return
        try:
            async with asyncio.timeout(self._endpoints.wait_s):
                await gate.places.acquire()
        except TimeoutError:
            raise NoTurn(BUSY) from None
