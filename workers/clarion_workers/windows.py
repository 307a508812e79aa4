"""How much may be handed over and not yet recorded: what a crash of this process can leave ambiguous."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from clarion_core.domain.medium import Medium


class Windows:
    """Hands out shares of `size` deliveries to a lane's batches, first come, first served.

    No batch gets more than half, so that two overlap: one talks to the store while the other talks to the provider.
    """

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._most = self._enough = max(1, size // 2)
        self._all = _Room(size)
        self._all.lanes.append(self)
        self._waiting: deque[tuple[int, asyncio.Future[int]]] = deque()

    @classmethod
    def of_lanes(cls, size: int, lanes: Sequence[str]) -> dict[str, Windows]:
        """Windows of several lanes that have `size` together.

        A lane may use what the others leave, but an eighth of the whole is kept for each of them: mail that waits
        for its provider in one lane does not hold up the others. Where less is left than a batch wants, it gets
        that, if it is an eighth at least.
        """
        floor, room = max(1, size // 8), _Room(size)
        made = {lane: cls(max(1, size - floor * (len(lanes) - 1))) for lane in lanes}
        for windows in made.values():
            windows._all, windows._enough = room, floor
            room.lanes.append(windows)
        return made

    @property
    def in_use(self) -> int:
        """How many deliveries this lane's batches have shares for now."""
        return self._size - self._free

    @asynccontextmanager
    async def share(self, wanted: int) -> AsyncIterator[int]:
        """Up to `wanted` deliveries of the window, at least one; waits until they are free."""
        count = await self._take(max(1, min(wanted, self._most)))
        try:
            yield count
        finally:
            self._give_back(count)

    async def _take(self, wanted: int) -> int:
        granted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, granted))
        self._grant()
        try:
            return await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._grant()  # those behind may go ahead
            else:
                self._give_back(granted.result())
            raise

    def _give_back(self, count: int) -> None:
        self._free += count
        self._all.free += count
        for lane in self._all.lanes:
            lane._grant()

    def _grant(self) -> None:
        while self._waiting:
            wanted, granted = self._waiting[0]
            count = min(wanted, self._free, self._all.free)
            if not granted.cancelled():
                if count < min(wanted, self._enough):
                    return
                self._free -= count
                self._all.free -= count
                granted.set_result(count)
            self._waiting.popleft()


class AllWindows:
    """The windows of a worker process: `size` deliveries for each channel configuration and medium that it sends by,
    so that none waits for another's provider. The lanes share them, see `Windows.of_lanes`.
    """

    def __init__(self, size: int, lanes: Sequence[str]) -> None:
        self._size, self._lanes = size, lanes
        self._made: dict[tuple[str, Medium], dict[str, Windows]] = {}

    def of(self, scope: str, medium: Medium, lane: str) -> Windows:
        """Those of a lane; `scope` is the configuration's, empty for the worker's own."""
        if (scope, medium) not in self._made:
            self._made[scope, medium] = Windows.of_lanes(self._size, self._lanes)
        return self._made[scope, medium][lane]

    def in_use(self) -> Iterator[tuple[str, Medium, int]]:
        """How many deliveries have shares for now, by lane and medium, a pair as often as there are configurations."""
        for (_, medium), lanes in self._made.items():
            for lane, windows in lanes.items():
                yield lane, medium, windows.in_use


class _Room:
    """What lanes have together."""

    def __init__(self, size: int) -> None:
        self.free = size
        self.lanes: list[Windows] = []
