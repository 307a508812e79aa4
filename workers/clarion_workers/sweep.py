"""The sweep: finds and repairs what got lost, and proves the accounting law over and over.

One worker sweeps at a time. It reads the open batches that are due for a look, never all records; the recount walks
through the triggers a few at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from clarion_core import logs
from clarion_core.domain.errors import ClarionError
from clarion_core.domain.trigger import Counts
from clarion_core.store.batches import BatchStore
from clarion_core.store.campaigns import CampaignStore
from clarion_core.store.upkeep import Upkeep

AT_ONCE = 100

log = logs.get(__name__)


class Sweeper:
    """Sweeps every `every_s` seconds, as long as this worker is the one that does."""

    def __init__(
        self, *, batches: BatchStore, campaigns: CampaignStore, upkeep: Upkeep, shards: int, every_s: float
    ) -> None:
        self._batches, self._campaigns, self._upkeep = batches, campaigns, upkeep
        self._shards, self._every_s = shards, every_s
        self.recounted = self.differences = 0  # triggers, since this process started

    async def run(self) -> None:
        """Sweep until cancelled; what goes wrong is logged and tried again at the next turn."""
        while True:
            try:
                await self.once()
            except ClarionError as error:
                log.warning("sweep_failed", reason=error.reason)
            except Exception:
                log.exception("sweep_failed")
            await asyncio.sleep(self._every_s)

    async def once(self) -> None:
        """One turn over every shard."""
        for shard in range(self._shards):
            if await self._upkeep.take_turn(shard, self._every_s):
                await self._until_done(shard, self._upkeep.expire)
                await self._until_done(shard, self._upkeep.give_out_held)
                await self._repair(shard)
                await self._recount(shard)
                await self._trim(shard)
        async for campaign in self._campaigns.repair_gates():
            log.warning("gates_repaired", campaign=campaign)

    async def _repair(self, shard: int) -> None:
        looked = AT_ONCE
        deadline = time.monotonic() + self._every_s
        while looked == AT_ONCE and time.monotonic() < deadline:
            looked, repaired = await self._batches.sweep(shard, AT_ONCE)
            for batch, done in repaired:
                log.warning("batch_repaired", batch=batch, done=done)

    async def _trim(self, shard: int) -> None:
        await self._upkeep.trim_events(shard)
        await self._until_done(shard, self._upkeep.trim_index)
        if shard == 0:  # lists are in no shard
            await self._upkeep.trim_lists()

    async def _until_done(self, shard: int, part: Callable[[int], Awaitable[bool]]) -> None:
        """Do a task in parts, as long as one turn lasts; the next turn goes on."""
        deadline = time.monotonic() + self._every_s
        while await part(shard) and time.monotonic() < deadline:
            continue

    async def _recount(self, shard: int) -> None:
        right = wrong = 0
        for trigger in await self._upkeep.next_triggers(shard):
            kept, counted = await self._upkeep.recount(shard, trigger)
            if kept is None or counted is None:
                continue
            if kept == counted and not kept.balance:
                right += 1
            else:
                wrong += 1
                log.error("accounting_broken", trigger=trigger, kept=_shown(kept), counted=_shown(counted))
        self.recounted += right + wrong
        self.differences += wrong
        await self._upkeep.note_recounts(right, wrong)


def _shown(counts: Counts) -> str:
    return " ".join(f"{name}={getattr(counts, name)}" for name in counts.__dataclass_fields__ if getattr(counts, name))
