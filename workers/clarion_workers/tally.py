"""What a worker gets done: outcomes counted as they are recorded, and the pace of it."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from clarion_core.domain.delivery import DeliveryState
from clarion_core.store.batches import Advanced, BatchStore, Claim, Result, Step

PACE_S = 10.0


class Tally:
    """Attempts that came to an outcome, by the state it led to; copies and seeds by how they ended.

    `clock` is in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.outcomes: Counter[DeliveryState] = Counter()
        self.copies: Counter[str] = Counter()
        self.seeds: Counter[str] = Counter()
        self._clock = clock
        self._samples = deque([(clock(), 0)])

    def recorded(self, results: Sequence[Result]) -> None:
        """These are in the ledger. What was not handed over is no outcome."""
        states = (result.conclusion.state for result in results)
        self.outcomes.update(state for state in states if state is not DeliveryState.QUEUED)

    def rate_per_s(self) -> float:
        """How many a second since this was asked 10 seconds ago; ask every second."""
        now, total = self._clock(), self.outcomes.total()
        self._samples.append((now, total))
        while now - self._samples[0][0] > PACE_S and len(self._samples) > 2:
            self._samples.popleft()
        then, before = self._samples[0]
        return (total - before) / (now - then) if now > then else 0.0


class CountedBatches(BatchStore):
    """A worker's way with batches that counts what it records."""

    def __init__(self, *store: Any, tally: Tally, **options: Any) -> None:
        super().__init__(*store, **options)
        self._tally = tally

    async def advance(self, claim: Claim, results: Sequence[Result], *window: Any, **how: Any) -> Advanced:
        """As `BatchStore.advance`."""
        return self._counted(results, await super().advance(claim, results, *window, **how))

    async def finish(self, claim: Claim, results: Sequence[Result], **how: Any) -> Advanced:
        """As `BatchStore.finish`."""
        return self._counted(results, await super().finish(claim, results, **how))

    def _counted(self, results: Sequence[Result], advanced: Advanced) -> Advanced:
        if advanced.step is not Step.FENCED:
            self._tally.recorded(results)
        return advanced
