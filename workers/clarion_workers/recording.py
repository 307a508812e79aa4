"""What became of a claim's deliveries, kept until the store has it: outcomes must not get lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from clarion_core import logs
from clarion_core.domain.errors import StoreUnavailable
from clarion_core.domain.retry import Conclusion
from clarion_core.store.batches import NOWHERE, Advanced, BatchStore, Claim, Result, Step, Wanted, Way
from clarion_core.store.triggers import StoredDelivery
from clarion_workers.may_receive import MayReceive

_STORE_PAUSE_S, _STORE_PAUSE_MAX_S = 0.05, 1.0

log = logs.get(__name__)


class Recorder:
    """Notes results, and records them with each step of the batch. A store that is away is waited for.

    What `lists` heard of addresses is told first, so that it is known before the next batch asks. `scope` is that of
    the channel configuration.
    """

    def __init__(self, batches: BatchStore, claim: Claim, lists: MayReceive, *, scope: str) -> None:
        self._batches, self._claim, self._lists, self._scope = batches, claim, lists, scope
        self._results: list[Result] = []  # not recorded yet
        self._tally: Counter[str] = Counter()
        self.fenced = False
        """Whether the batch turned out to be another worker's."""

    def note(self, delivery: StoredDelivery, conclusion: Conclusion, attempts: int, *, opened: bool) -> None:
        """Keep a result until the next step. `attempts` counts the one it is of, `opened` as in `Result`."""
        self._tally[conclusion.state.name.lower()] += 1
        self._results.append(
            Result(
                delivery_id=delivery.id,
                trigger_id=delivery.trigger_id,
                attempts=attempts,
                conclusion=conclusion,
                opened=opened,
                scope=self._scope,
            )
        )
        if conclusion.reason:
            log.info(
                "delivery_moved",
                state=conclusion.state.name,
                delivery=delivery.id,
                trigger=delivery.trigger_id,
                reason=conclusion.reason.value,
                attempts=attempts,
            )

    async def advance(self, wanted: Sequence[Wanted] = (), way: Way = NOWHERE, *, solo: bool = False) -> Advanced:
        """Record what is noted and open a window. See `BatchStore.advance`."""
        return await self._recorded(
            lambda: self._batches.advance(self._claim, self._results, wanted, way=way, solo=solo)
        )

    async def finish(self, *, wait_ms: int, throttled: bool) -> None:
        """Record what is noted, and close the batch or hand the rest back. See `BatchStore.finish`."""
        ended = await self._recorded(
            lambda: self._batches.finish(self._claim, self._results, wait_ms=wait_ms, throttled=throttled)
        )
        log.info(
            "batch_done",
            batch=self._claim.ref.id,
            campaign=self._claim.campaign,
            step=ended.step.value,
            **self._tally,
        )

    async def _recorded(self, call: Callable[[], Awaitable[Advanced]]) -> Advanced:
        pause_s = _STORE_PAUSE_S
        while True:
            try:
                await self._lists.tell()
                advanced = await call()
            except StoreUnavailable:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _STORE_PAUSE_MAX_S)
                continue
            self._results = []
            if advanced.step is Step.FENCED:
                self.fenced = True
                log.warning("batch_lost", batch=self._claim.ref.id, epoch=self._claim.ref.epoch)
            return advanced
