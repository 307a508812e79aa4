"""The delivery step: compose a claimed batch, hand it over window by window, record, close it or hand it back.

The order is what makes it safe: a window is opened in the store before anything of it is handed over, and its outcomes
are recorded in the same step that opens the next one. Whatever happens to this process, the store knows which
deliveries may have left.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass

from msgspec import structs

from clarion_core import tasks
from clarion_core.domain.campaign import Definition, RetryPolicy
from clarion_core.domain.delivery import DeliveryState, Reason
from clarion_core.domain.error_class import ERROR_CLASSES, ErrorClass
from clarion_core.domain.errors import StoreUnavailable
from clarion_core.domain.medium import Channel, Medium
from clarion_core.domain.outcome import Outcome, PermanentFailure, TransientFailure
from clarion_core.domain.retry import Conclusion, clip, conclude
from clarion_core.domain.routing import fails_over, postponed
from clarion_core.store.batches import NOWHERE, Advanced, BatchStore, Claim, Permit, Step, Wanted, Way
from clarion_core.store.suppressions import Suppressions
from clarion_core.store.triggers import StoredDelivery
from clarion_workers.channels import CutOff, Message
from clarion_workers.leases import Lease, Leases
from clarion_workers.may_receive import MayReceive
from clarion_workers.messages import Composer, Ready, Unready
from clarion_workers.providers import NoRoute, Route, Router
from clarion_workers.recording import Recorder
from clarion_workers.seeds import Seeding
from clarion_workers.windows import AllWindows

CRASHES_UNTIL_SOLO = 1
NO_WEIGHTS: Mapping[str, int] = {}  # each delivery takes one permit
_NOT_HANDED_OVER = Conclusion(state=DeliveryState.QUEUED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What every batch is delivered with. `draining` set: windows in flight are finished, the rest is handed back."""

    lane: str
    batches: BatchStore
    leases: Leases
    composer: Composer
    suppressions: Suppressions
    windows: AllWindows
    draining: asyncio.Event
    seeding: Seeding


class Run:
    """One claim's way through the delivery step. `route` is the one it was claimed with, and the first to be taken."""

    def __init__(self, post: Post, router: Router, claim: Claim, lease: Lease, route: Route) -> None:
        self._post, self._router, self._claim, self._lease = post, router, claim, lease
        self._chosen: Route | None = route  # and not used yet
        self._definition, self._policy = Definition(), RetryPolicy()
        configuration = router.configuration
        self._lists = MayReceive(
            post.suppressions,
            workspace=claim.campaign.partition("/")[0],
            channel=Channel(configuration.channel),
            configuration=configuration,
        )
        self._windows = post.windows.of(configuration.scope, claim.ref.medium, post.lane)
        self._recorder = Recorder(post.batches, claim, self._lists, scope=configuration.scope)
        self._open: dict[str, StoredDelivery] = {}  # in a window that may be open, and not handed over yet
        self._spent: Counter[str] = Counter()  # attempts of this claim, of those that went on to another provider
        self._halted = self._throttled = False
        self._wait_ms = 0  # until what is handed back is due
        self._provider = ""  # whom the last hand-over was to
        self._sent_at = (0, 0.0)  # the store's clock (ms) and ours (s) when the last hand-over began

    async def work(self) -> None:
        """Deliver the batch. Cut off, or without what it needs of the store: record, hand the rest back, raise."""
        async with AsyncExitStack() as share:  # of the window, until all of it is recorded
            try:
                self._definition = await self._post.composer.definition(self._claim)
                self._policy = self._definition.retry_policy.within(self._router.configuration.retry)
                await self._deliver(share)
                if not self._recorder.fenced:
                    await self._finish()
            except (asyncio.CancelledError, StoreUnavailable):
                await asyncio.shield(self._finish())
                raise
            finally:
                if self._chosen:
                    await self._router.report(self._chosen, [])  # somebody else may probe

    async def _deliver(self, share: AsyncExitStack) -> None:
        """Those that were in a window when their worker died are suspects, and go alone, behind the others."""
        deliveries = await self._sendable()
        if not deliveries:
            return
        solo = self._claim.crashes >= CRASHES_UNTIL_SOLO
        together = [each for each in deliveries if not (solo or _is_suspect(each))]
        size = await share.enter_async_context(self._windows.share(len(together)))
        await self._in_windows(together, size)
        await self._one_by_one([each for each in deliveries if solo or _is_suspect(each)])

    async def _sendable(self) -> Sequence[StoredDelivery]:
        """Those that may be sent to; the ends of the others are noted."""
        webhook = self._definition.webhook if self._claim.ref.medium is Medium.WEBHOOK else None
        own = webhook.url if webhook else ""
        found = await self._lists.ask(self._claim.deliveries, self._definition.category, own)
        for delivery, end in found.refused:
            self._note(delivery, end, delivery.record.attempts, opened=False)
        return found.may

    async def _in_windows(self, deliveries: Sequence[StoredDelivery], share: int) -> None:
        if not deliveries:
            return
        room = self._claim.room
        size = share if room is None else max(1, min(share, room))
        async with aclosing(self._composed(deliveries, size)) as windows:
            async for window in windows:
                await self._hand_over_grouped(self._sorted_out(window))
                if not self._goes_on:
                    return

    async def _hand_over_grouped(self, items: Sequence[Ready]) -> None:
        """Messages that a provider gave up before go to another one first."""
        groups: dict[frozenset[str], list[Ready]] = {}
        for item in items:
            groups.setdefault(_given_up_by(item.delivery), []).append(item)
        for tried, group in sorted(
            groups.items(), key=lambda each: len(each[0])
        ):  # who waits for another holds up none
            others = len(self._router.configuration.providers) > len(tried)
            await self._hand_over(group, tried if others else frozenset())

    async def _composed(
        self, deliveries: Sequence[StoredDelivery], size: int
    ) -> AsyncGenerator[Sequence[Ready | Unready], None]:
        """The deliveries in windows, the next one being composed while the last one is handed over."""
        chunks = [deliveries[at : at + size] for at in range(0, len(deliveries), size)]
        ahead: list[asyncio.Task[list[Ready | Unready]]] = [self._compose(chunks[0])]
        try:
            for following in [*chunks[1:], None]:
                composed = await ahead.pop()
                if following:
                    ahead.append(self._compose(following))
                yield composed
        finally:
            await tasks.end(ahead)

    def _compose(self, deliveries: Sequence[StoredDelivery]) -> asyncio.Task[list[Ready | Unready]]:
        return asyncio.create_task(self._post.composer.compose(self._claim, deliveries))

    async def _one_by_one(self, deliveries: Sequence[StoredDelivery]) -> None:
        """Work on one delivery at a time, marked as such before it is even rendered: the next crash tells which."""
        for delivery in deliveries:
            if not self._goes_on:
                return
            await self._alone(delivery)

    async def _alone(self, delivery: StoredDelivery) -> None:
        route = await self._route(frozenset())
        if route is None:
            return
        opened = await self._open_window([delivery], route, solo=True)
        items: list[Ready] = []
        if Permit.YES in opened.permits:
            items = self._sorted_out(await self._post.composer.compose(self._claim, [delivery]), opened=1)
        outcomes = await self._send(items, route, opened.now_ms)
        self._conclude(items[: len(outcomes)], outcomes)

    @property
    def _goes_on(self) -> bool:
        return not (self._post.draining.is_set() or self._lease.lost or self._halted)

    def _halt(self, wait_ms: int, *, throttled: bool = False) -> None:
        """Hand the rest back, to be claimed again after `wait_ms`."""
        self._halted, self._wait_ms, self._throttled = True, max(self._wait_ms, wait_ms), throttled

    def _sorted_out(self, composed: Sequence[Ready | Unready], opened: int = 0) -> list[Ready]:
        """Those that can be handed over; the others' ends are noted as results."""
        ready = []
        for item in composed:
            if isinstance(item, Ready):
                ready.append(item)
            else:
                self._note(item.delivery, item.conclusion, item.delivery.record.attempts + opened, opened=bool(opened))
        return ready

    async def _route(self, tried: frozenset[str]) -> Route | None:
        """The next provider; None, and the batch is handed back, where there is none."""
        chosen, self._chosen = self._chosen, None
        if chosen and chosen.provider.name in tried:
            await self._router.report(chosen, [])
            chosen = None
        route = chosen or await self._router.choose(tried)
        if isinstance(route, NoRoute):
            self._halt(round(1000 * route.wait_s))
            return None
        return route

    async def _hand_over(self, items: Sequence[Ready], tried: frozenset[str]) -> None:
        """Hand messages over to the first provider that may have them and was not tried."""
        while items and self._goes_on:
            route = await self._route(tried)
            if route is None:
                return
            count = route.takes(len(items))
            await self._window(items[:count], route, tried | {route.provider.name})
            items = items[count:]

    async def _window(self, items: Sequence[Ready], route: Route, tried: frozenset[str]) -> None:
        """Open a window and hand it over; what this provider can't take goes on to another one."""
        weights = {item.delivery.id: item.message.weight for item in items}
        opened = await self._open_window([item.delivery for item in items], route, weights)
        allowed = [item for item, permit in zip(items, opened.permits, strict=False) if permit is Permit.YES]
        if Permit.LATER in opened.permits:
            self._halt(opened.wait_ms, throttled=True)
        outcomes = await self._send(allowed, route, opened.now_ms)
        ended = list(zip(allowed, outcomes, strict=False))
        moving = [pair for pair in ended if fails_over(pair[1]) and self._may_repeat(pair[0])]
        self._conclude_all([pair for pair in ended if pair not in moving])
        if moving:
            await self._go_over(moving, tried)

    async def _go_over(self, moving: Sequence[tuple[Ready, Outcome]], tried: frozenset[str]) -> None:
        """Give to the next provider what one could not take; where there is none now, its retry waits for one."""
        if not self._goes_on:
            self._conclude_all([(item, postponed(outcome, self._wait_ms / 1000)) for item, outcome in moving])
            return
        try:
            other = await self._router.choose(tried)
        except asyncio.CancelledError:
            self._conclude_all(moving)
            raise
        if isinstance(other, NoRoute):
            known = [
                (item, postponed(outcome, other.wait_s) if other.until_ms else outcome) for item, outcome in moving
            ]
            self._conclude_all(known)
            return
        self._chosen = other
        await self._move_on(moving)
        await self._hand_over([item for item, _ in moving], tried)

    def _conclude_all(self, ended: Sequence[tuple[Ready, Outcome]]) -> None:
        self._conclude([item for item, _ in ended], [outcome for _, outcome in ended])

    def _may_repeat(self, item: Ready) -> bool:
        return self._attempt(item.delivery) < self._policy.max_attempts

    async def _move_on(self, moving: Sequence[tuple[Ready, Outcome]]) -> None:
        """Record the spent attempts: the same deliveries are opened again by the next call."""
        for item, outcome in moving:
            assert isinstance(outcome, TransientFailure | PermanentFailure)
            spent = Conclusion(state=DeliveryState.QUEUED, reason=outcome.reason, detail=clip(outcome.detail))
            self._note(item.delivery, spent, self._attempt(item.delivery), opened=True)
            self._spent[item.delivery.id] += 1
        await self._advance()

    def _attempt(self, delivery: StoredDelivery) -> int:
        """The number of the attempt that is being made, the first is 1."""
        return delivery.record.attempts + self._spent[delivery.id] + 1

    async def _open_window(
        self,
        deliveries: Sequence[StoredDelivery],
        route: Route,
        weights: Mapping[str, int] = NO_WEIGHTS,
        *,
        solo: bool = False,
    ) -> Advanced:
        self._open = {delivery.id: delivery for delivery in deliveries}
        wanted = [
            Wanted(
                delivery_id=item.id,
                trigger_id=item.trigger_id,
                attempt=self._attempt(item),
                weight=weights.get(item.id, 1),
            )
            for item in deliveries
        ]
        opened = await self._advance(wanted, self._router.way(route), solo=solo)
        for delivery, permit in zip(deliveries, opened.permits, strict=False):
            if permit is not Permit.YES:
                del self._open[delivery.id]
        return opened

    async def _send(self, items: Sequence[Ready], route: Route, now_ms: int) -> Sequence[Outcome]:
        """Hand over; no outcome where it was not done after all."""
        if not self._lease.is_safe:  # this process stood still: somebody else may have been told to send them
            self._lease.lost = True
        if not items or self._lease.lost or self._post.draining.is_set():
            await self._router.report(route, [])
            return []
        messages = [self._timed(item, now_ms) for item in items]
        self._sent_at, self._provider = (now_ms, time.monotonic()), route.provider.name
        try:
            return await self._router.hand_over(route, messages)
        except CutOff as cut:
            known = [(item, outcome) for item, outcome in zip(items, cut.outcomes, strict=True) if outcome]
            self._conclude([item for item, _ in known], [outcome for _, outcome in known])
            raise

    def _timed(self, item: Ready, now_ms: int) -> Message:
        expires_ms = self._claim.expires_ms[item.delivery.trigger_id]
        if not expires_ms:
            return item.message
        return structs.replace(item.message, deadline_s=time.monotonic() + (expires_ms - now_ms) / 1000)

    def _conclude(self, items: Sequence[Ready], outcomes: Sequence[Outcome]) -> None:
        opened_ms, began = self._sent_at
        now_ms = opened_ms + round(1000 * (time.monotonic() - began))
        for item, outcome in zip(items, outcomes, strict=True):
            record = item.delivery.record
            self._lists.hear(item.delivery, outcome, self._provider)
            attempts = self._attempt(item.delivery)
            conclusion = conclude(
                outcome,
                attempts=attempts,
                policy=self._policy,
                ambiguity=self._definition.ambiguity,
                now_ms=now_ms,
                age_from_ms=record.since_ms or self._claim.accepted_ms[item.delivery.trigger_id],
                draw=random.random,
            )
            self._note(item.delivery, conclusion, attempts, opened=True)

    def _note(self, delivery: StoredDelivery, conclusion: Conclusion, attempts: int, *, opened: bool) -> None:
        self._open.pop(delivery.id, None)
        self._recorder.note(delivery, conclusion, attempts, opened=opened)

    async def _finish(self) -> None:
        for delivery in list(self._open.values()):
            self._note(delivery, _NOT_HANDED_OVER, self._attempt(delivery), opened=True)
        await self._recorder.finish(wait_ms=self._wait_ms, throttled=self._throttled)

    async def _advance(self, wanted: Sequence[Wanted] = (), way: Way = NOWHERE, *, solo: bool = False) -> Advanced:
        """Record what is noted and open a window. The batch may turn out to be paused, or another worker's."""
        advanced = await self._recorder.advance(wanted, way, solo=solo)
        if advanced.step is Step.FENCED:
            self._lease.lost = True
        if advanced.step is not Step.OPENED:
            self._halted = True  # what an unheard call may have opened stays noted, to be handed back
        return advanced


def _given_up_by(delivery: StoredDelivery) -> frozenset[str]:
    """The provider that a delivery was to go on from, where it was handed back in between, or that can't carry it."""
    record = delivery.record
    went_on = record.state is DeliveryState.QUEUED and ERROR_CLASSES[record.reason] is ErrorClass.PROVIDER
    return frozenset({record.provider} if went_on or record.reason is Reason.PROVIDER_UNSUPPORTED else ())


def _is_suspect(delivery: StoredDelivery) -> bool:
    """Whether it was in a window when its worker died: by what a take-over writes, and nothing else."""
    record = delivery.record
    return record.state is DeliveryState.QUEUED and record.reason is Reason.HANDOVER_UNKNOWN
