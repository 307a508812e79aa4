"""The delivery step: claim a batch, compose it, hand it over window by window, record, close it or hand it back.

The order is what makes it safe: a window is opened in the store before anything of it is handed over, and its outcomes
are recorded in the same step that opens the next one. Whatever happens to this process, the store knows which
deliveries may have left.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

from clarion_core import logs
from clarion_core.domain.campaign import Definition
from clarion_core.domain.delivery import DeliveryState
from clarion_core.domain.errors import ClarionError, StoreUnavailable
from clarion_core.domain.outcome import Ambiguous, Outcome
from clarion_core.domain.retry import Conclusion, conclude
from clarion_core.store.batches import Advanced, BatchRef, BatchStore, Claim, NotClaimed, Result, Step, Wanted
from clarion_core.store.triggers import StoredDelivery
from clarion_workers.channels import Channel
from clarion_workers.channels.email import EmailMessage
from clarion_workers.leases import Lease, Leases
from clarion_workers.messages import Composer, Ready, Unready
from clarion_workers.windows import Windows

CRASHES_UNTIL_SOLO = 2
_STORE_PAUSE_S, _STORE_PAUSE_MAX_S = 0.05, 1.0
_NOT_HANDED_OVER = Conclusion(state=DeliveryState.QUEUED)

log = logs.get(__name__)


class Deliverer:
    """Runs batches. `draining` set: windows in flight are finished, the rest is handed back."""

    def __init__(
        self,
        *,
        batches: BatchStore,
        leases: Leases,
        composer: Composer,
        email: Channel[EmailMessage],
        windows: Windows,
        draining: asyncio.Event,
    ) -> None:
        self._batches, self._leases, self._composer = batches, leases, composer
        self._email, self._windows, self._draining = email, windows, draining

    async def job(self, _ctx: Mapping[str, Any], shard: str, batch: str, epoch: int) -> None:
        """Arq's job. It does not raise: what it leaves behind is found by the next lease or the sweep."""
        ref = BatchRef(shard=int(shard), id=batch, epoch=epoch)
        try:
            await self._run(ref)
        except ClarionError as error:
            log.warning("batch_left", batch=batch, reason=error.reason)
        except Exception:
            log.exception("batch_failed", batch=batch)

    async def _run(self, ref: BatchRef) -> None:
        asked_at = time.monotonic()
        claim = await self._batches.claim(ref)
        if isinstance(claim, NotClaimed):
            log.debug("batch_not_claimed", batch=ref.id, epoch=ref.epoch, why=claim.value)
            return
        async with self._leases.hold(ref, asked_at) as lease:
            await _Run(self, claim, lease).work()


class _Run:
    """One claim's way through the delivery step."""

    def __init__(self, post: Deliverer, claim: Claim, lease: Lease) -> None:
        self._post, self._claim, self._lease = post, claim, lease
        self._definition = Definition()
        self._open: dict[str, StoredDelivery] = {}  # in a window that may be open, and not handed over yet
        self._results: list[Result] = []  # outcomes not recorded yet
        self._tally: Counter[str] = Counter()

    async def work(self) -> None:
        """Deliver the batch. Cut off, or without what it needs of the store: record, hand the rest back, raise."""
        try:
            self._definition = await self._post._composer.definition(self._claim)
            if self._claim.crashes >= CRASHES_UNTIL_SOLO:
                await self.one_by_one()
            else:
                await self.in_windows()
        except (asyncio.CancelledError, StoreUnavailable):
            await asyncio.shield(self._finish())
            raise

    async def in_windows(self) -> None:
        """Compose the whole batch, then open one window after the other."""
        composed = await self._post._composer.compose(self._claim, self._claim.deliveries)
        pending = deque(self._sorted_out(composed))
        async with self._post._windows.share(len(pending)) as size:
            while pending and not self._must_stop():
                window = [pending.popleft() for _ in range(min(size, len(pending)))]
                if not await self._window(window):
                    return
            await self._finish()

    async def one_by_one(self) -> None:
        """Work on one delivery at a time, marked as such before it is even rendered: the next crash tells which."""
        async with self._post._windows.share(1):
            for delivery in self._claim.deliveries:
                if self._must_stop():
                    break
                opened = await self._open_window([delivery], solo=True)
                if opened.step is Step.PAUSED:
                    break
                if opened.step is not Step.OPENED:
                    return
                if opened.allowed[0]:
                    composed = await self._post._composer.compose(self._claim, [delivery])
                    await self._hand_over(self._sorted_out(composed, opened=1), opened.now_ms)
            await self._finish()

    def _must_stop(self) -> bool:
        return self._post._draining.is_set() or self._lease.lost

    def _sorted_out(self, composed: Sequence[Ready | Unready], opened: int = 0) -> list[Ready]:
        """Those that can be handed over; the others' ends are noted as results."""
        ready = []
        for item in composed:
            if isinstance(item, Ready):
                ready.append(item)
            else:
                self._note(item.delivery, item.conclusion, item.delivery.record.attempts + opened, opened=bool(opened))
        return ready

    async def _window(self, window: Sequence[Ready]) -> bool:
        """Open a window and hand it over; False where the batch is not ours any more, or must wait."""
        opened = await self._open_window([item.delivery for item in window])
        if opened.step is Step.PAUSED:
            await self._finish()
        if opened.step is not Step.OPENED:
            return False
        await self._hand_over([item for item, ok in zip(window, opened.allowed, strict=True) if ok], opened.now_ms)
        return True

    async def _open_window(self, deliveries: Sequence[StoredDelivery], *, solo: bool = False) -> Advanced:
        self._open = {delivery.id: delivery for delivery in deliveries}
        return await self._advance(
            [
                Wanted(delivery_id=item.id, trigger_id=item.trigger_id, attempt=item.record.attempts + 1)
                for item in deliveries
            ],
            solo=solo,
        )

    async def _hand_over(self, items: Sequence[Ready], now_ms: int) -> None:
        if not self._lease.is_safe:  # this process stood still: somebody else may have been told to send them
            self._lease.lost = True
        if self._must_stop():
            return
        started = time.monotonic()
        try:
            outcomes: Sequence[Outcome] = await self._post._email.send([item.message for item in items])
        except asyncio.CancelledError:
            self._conclude(items, [Ambiguous(detail="cut off by the shutdown")] * len(items), now_ms)
            raise
        self._conclude(items, outcomes, now_ms + round(1000 * (time.monotonic() - started)))

    def _conclude(self, items: Sequence[Ready], outcomes: Sequence[Outcome], now_ms: int) -> None:
        for item, outcome in zip(items, outcomes, strict=True):
            attempts = item.delivery.record.attempts + 1
            conclusion = conclude(
                outcome,
                attempts=attempts,
                policy=self._definition.retry_policy,
                ambiguity=self._definition.ambiguity,
                now_ms=now_ms,
                draw=random.random,
            )
            self._note(item.delivery, conclusion, attempts, opened=True)
        self._open.clear()

    def _note(self, delivery: StoredDelivery, conclusion: Conclusion, attempts: int, *, opened: bool) -> None:
        self._open.pop(delivery.id, None)
        self._tally[conclusion.state.name.lower()] += 1
        self._results.append(
            Result(
                delivery_id=delivery.id,
                trigger_id=delivery.trigger_id,
                attempts=attempts,
                conclusion=conclusion,
                opened=opened,
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

    async def _finish(self) -> None:
        for delivery in list(self._open.values()):
            self._note(delivery, _NOT_HANDED_OVER, delivery.record.attempts + 1, opened=True)
        ended = await self._advance(finish=True)
        log.info(
            "batch_done",
            batch=self._claim.ref.id,
            campaign=self._claim.campaign,
            step=ended.step.value,
            **self._tally,
        )

    async def _advance(self, wanted: Sequence[Wanted] = (), *, solo: bool = False, finish: bool = False) -> Advanced:
        """Record what is noted and go on. Outcomes must not get lost: a store that is away is waited for."""
        pause_s = _STORE_PAUSE_S
        while True:
            try:
                advanced = await self._post._batches.advance(
                    self._claim, self._results, wanted, solo=solo, finish=finish
                )
            except StoreUnavailable:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _STORE_PAUSE_MAX_S)
                continue
            self._results = []
            if advanced.step is Step.FENCED:
                self._lease.lost = True
                log.warning("batch_lost", batch=self._claim.ref.id, epoch=self._claim.ref.epoch)
            return advanced
