"""Group commit: whatever arrived while the last round trip was in flight goes into the next.

One task a shard and lane talks to the store, never a caller. Idle, a trigger goes at once: grouping never waits.
"""

from __future__ import annotations

import asyncio
from collections import deque

from clarion_core.domain.errors import Draining, Overloaded
from clarion_core.store.accepting import FLIGHT_BYTES, FLIGHT_DELIVERIES, Accepted, AcceptItem, AcceptStore

_QUIET_TURNS = 3  # a call takes about that many from its first byte to its handler


class Committer:
    """Commits the triggers of one shard and lane. At most `max_bytes` wait; more is `Overloaded`."""

    def __init__(self, store: AcceptStore, shard: int, max_bytes: int) -> None:
        self._store, self._shard, self._max_bytes = store, shard, max_bytes
        self._waiting: deque[tuple[AcceptItem, asyncio.Future[Accepted]]] = deque()
        self._waiting_bytes = 0
        self._arrived = asyncio.Event()

    async def accept(self, item: AcceptItem) -> Accepted:
        """Commit one trigger and return its verdict, durable.

        Cancelled before its flight, nothing happens; later, it happens all the same, and the request id tells.
        """
        if self._waiting_bytes + item.bytes > self._max_bytes:
            raise Overloaded("MiB of triggers", self._max_bytes >> 20)
        self._waiting_bytes += item.bytes
        if item.is_large:
            try:
                await self._store.stage(self._shard, item)
            except BaseException:
                self._waiting_bytes -= item.bytes
                raise
        verdict: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, verdict))
        self._arrived.set()
        return await verdict

    async def run(self) -> None:
        """Commit until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self._gather()
            while flight := self._next_flight():
                await self._fly(flight)
                await self._gather()

    async def _gather(self) -> None:
        """Let in what is arriving at this moment: turns of the loop until a few in a row brought nothing more.

        A busy loop hands over its calls one by one; without this, each would find the store idle and fly alone. An
        idle loop's turns take microseconds.
        """
        before, quiet = len(self._waiting), 0
        while quiet < _QUIET_TURNS and 0 < before < FLIGHT_DELIVERIES:
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == before else 0
            before = len(self._waiting)

    def _next_flight(self) -> list[tuple[AcceptItem, asyncio.Future[Accepted]]]:
        flight: list[tuple[AcceptItem, asyncio.Future[Accepted]]] = []
        deliveries = size = 0
        while self._waiting:
            item, verdict = self._waiting[0]
            if flight and (deliveries + item.unstaged > FLIGHT_DELIVERIES or size + item.bytes > FLIGHT_BYTES):
                break
            self._waiting.popleft()
            self._waiting_bytes -= item.bytes
            if not verdict.done():  # else its caller is gone
                flight.append((item, verdict))
                deliveries += max(1, item.unstaged)
                size += item.bytes
        return flight

    async def _fly(self, flight: list[tuple[AcceptItem, asyncio.Future[Accepted]]]) -> None:
        try:
            verdicts = await self._store.accept(self._shard, [item for item, _ in flight])
        except asyncio.CancelledError:
            _fail(flight, Draining())
            raise
        except Exception as error:
            _fail(flight, error)
        else:
            for (_, verdict), accepted in zip(flight, verdicts, strict=True):
                if not verdict.done():
                    verdict.set_result(accepted)


def _fail(flight: list[tuple[AcceptItem, asyncio.Future[Accepted]]], error: Exception) -> None:
    for _, verdict in flight:
        if not verdict.done():
            verdict.set_exception(error)
