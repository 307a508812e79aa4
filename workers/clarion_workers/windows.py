"""How much may be handed over and not yet recorded: what a crash of this process can leave ambiguous."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Windows:
    """Hands out shares of `size` deliveries to batches, first come, first served.

    No batch gets more than half, so that two overlap: one talks to the store while the other talks to the provider.
    """

    def __init__(self, size: int) -> None:
        self._free = size
        self._most = max(1, size // 2)
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def share(self, wanted: int) -> AsyncIterator[int]:
        """Up to `wanted` deliveries of the window, at least one; waits until they are free."""
        count = max(1, min(wanted, self._most))
        await self._take(count)
        try:
            yield count
        finally:
            self._give_back(count)

    async def _take(self, count: int) -> None:
        if not self._waiting and self._free >= count:
            self._free -= count
            return
        granted = asyncio.get_running_loop().create_future()
        self._waiting.append((count, granted))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._grant()  # those behind may go ahead
            else:
                self._give_back(count)
            raise

    def _give_back(self, count: int) -> None:
        self._free += count
        self._grant()

    def _grant(self) -> None:
        while self._waiting and (self._waiting[0][1].cancelled() or self._free >= self._waiting[0][0]):
            count, granted = self._waiting.popleft()
            if not granted.cancelled():
                self._free -= count
                granted.set_result(None)
