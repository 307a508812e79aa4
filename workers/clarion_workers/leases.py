"""Keeping batches while they are worked on: signs of life for the store, and knowing when a lease was lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from clarion_core import logs
from clarion_core.domain.errors import ClarionError
from clarion_core.store.batches import BatchRef, BatchStore

log = logs.get(__name__)


class Lease:
    """The right to work on one batch. `is_safe` is false once another worker may have taken over."""

    def __init__(self, ref: BatchRef, lease_s: float) -> None:
        self.ref = ref
        self.lost = False
        self._lease_s = lease_s
        self._renewed = time.monotonic()

    def renewed(self, asked_at: float) -> None:
        """The store renewed it on a request made at `asked_at` (monotonic seconds)."""
        self._renewed = asked_at

    @property
    def is_safe(self) -> bool:
        """Whether nobody else can have it yet, with a margin for what is still to be done under it."""
        return not self.lost and time.monotonic() - self._renewed < 0.8 * self._lease_s


class Leases:
    """The batches in hand, kept alive together: one call a shard every third of a lease."""

    def __init__(self, batches: BatchStore, shards: int, lease_s: float) -> None:
        self._batches, self._shards, self._lease_s = batches, shards, lease_s
        self._held: dict[BatchRef, Lease] = {}

    @property
    def held(self) -> int:
        """How many batches are in hand."""
        return len(self._held)

    @asynccontextmanager
    async def hold(self, ref: BatchRef, claimed_at: float) -> AsyncIterator[Lease]:
        """Keep a batch that was claimed by a request made at `claimed_at` (monotonic seconds)."""
        lease = self._held[ref] = Lease(ref, self._lease_s)
        lease.renewed(claimed_at)
        try:
            yield lease
        finally:
            del self._held[ref]

    async def keep(self) -> None:
        """Renew until cancelled; also with nothing in hand, so that the store knows somebody is there."""
        while True:
            await asyncio.gather(*(self._renew(shard) for shard in range(self._shards)))
            await asyncio.sleep(self._lease_s / 3)

    async def _renew(self, shard: int) -> None:
        """Renew; again at once where no answer comes: a connection that died without a word must not cost the lease."""
        while True:
            try:
                async with asyncio.timeout(self._lease_s / 4):
                    await self._renew_once(shard)
                return
            except TimeoutError:
                log.warning("renewal_failed", shard=shard, reason="no answer")

    async def _renew_once(self, shard: int) -> None:
        held = {ref.id: lease for ref, lease in self._held.items() if ref.shard == shard}
        asked_at = time.monotonic()
        try:
            lost = await self._batches.renew(shard, [lease.ref for lease in held.values()])
        except ClarionError as error:
            log.warning("renewal_failed", shard=shard, reason=error.reason)
            return
        for batch, lease in held.items():
            if batch in lost:
                lease.lost = True
            else:
                lease.renewed(asked_at)
