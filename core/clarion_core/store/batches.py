"""Batches in the store: claimed, advanced window by window, kept alive, swept."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from clarion_core.domain.campaign import Throttle
from clarion_core.domain.medium import Medium
from clarion_core.domain.retry import Conclusion
from clarion_core.store.records import Head, decode_head
from clarion_core.store.store import Store
from clarion_core.store.triggers import StoredDelivery, stored_deliveries


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRef:
    """A batch as a job names it. `epoch` is the one this job's claim gets, `via` what it leaves by."""

    shard: int
    via: str
    id: str
    epoch: int

    @property
    def medium(self) -> Medium:
        """What its deliveries travel by."""
        return Medium(self.via.partition("/")[0])

    @property
    def configuration(self) -> str:
        """The channel configuration that they use: `workspace/configuration`."""
        return self.via.partition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A batch that is ours for a lease. `heads` are those of the triggers it carries deliveries of.

    `crashes` counts the claims before this one that ended before a window was open; from 1 on, work one by one.
    `accepted_ms` and `expires_ms` (0: never) are those of the triggers.
    """

    ref: BatchRef
    campaign: str
    revision: int
    crashes: int
    now_ms: int
    deliveries: tuple[StoredDelivery, ...]
    heads: Mapping[str, Head]
    room: int | None  # permits that were free, None where there is no limit
    accepted_ms: Mapping[str, int]
    expires_ms: Mapping[str, int]


class NotClaimed(StrEnum):
    """Why a claim came to nothing; all are ordinary."""

    GONE = "GONE"  # settled by somebody else
    STALE = "STALE"  # a job of an earlier epoch
    PARKED = "PARKED"  # the campaign is paused
    THROTTLED = "THROTTLED"  # it has to wait for permits
    EMPTY = "EMPTY"  # everything in it was called off
    RECOVERED = "RECOVERED"  # a dead worker's: taken from it, and queued under a new epoch
    GRACE = "GRACE"  # a silent worker's, but the store itself was away: it gets another lease


class Step(StrEnum):
    """How `advance` ended."""

    OPENED = "OPENED"
    PAUSED = "PAUSED"  # recorded; nothing may be handed over
    CLOSED = "CLOSED"  # recorded, and nothing is left
    HANDED_BACK = "HANDED_BACK"  # recorded, and the rest is queued again
    FENCED = "FENCED"  # the batch is no longer ours: nothing was recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A delivery and what became of its attempt; `attempts` counts that attempt.

    `opened`: this claim opened it, so that its end is known here and nowhere else. `scope`: what its provider's name is
    unique within, empty for a worker's own configuration.
    """

    delivery_id: str
    trigger_id: str
    attempts: int
    conclusion: Conclusion
    opened: bool
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A delivery that is about to be handed over for the `attempt`-th time; it takes `weight` permits."""

    delivery_id: str
    trigger_id: str
    attempt: int
    weight: int = 1


class Permit(IntEnum):
    """Whether a wanted delivery may be handed over."""

    NO = 0  # it is not this claim's any more: called off, expired, held
    YES = 1
    LATER = 2  # no permits were left


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where a window is handed over: the provider, and the limits on it besides the campaign's own."""

    provider: str
    limits: tuple[tuple[str, Throttle], ...] = ()

    def rows(self) -> list[tuple[str, float, int]]:
        """The limits as the functions take them."""
        return [(name, limit.rate_per_s, limit.burst) for name, limit in self.limits]


NOWHERE = Way(provider="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """How it ended, and for each wanted delivery whether it may be handed over now.

    `wait_ms`: where permits were short, after how long it is worth asking again.
    """

    step: Step
    now_ms: int = 0
    permits: tuple[Permit, ...] = ()
    wait_ms: int = 0


class BatchStore:
    """A worker's way with batches. `worker` names the process, `lease_ms` is how long a claim holds."""

    def __init__(self, store: Store, *, worker: str, lease_ms: int, retention_s: int) -> None:
        self._store, self._worker, self._lease_ms, self._retention_s = store, worker, lease_ms, retention_s

    async def claim(self, ref: BatchRef, way: Way = NOWHERE, *, lane: str) -> Claim | NotClaimed:
        """Take a batch from a lane's queue, or learn why not; where limits on its way are reached, it waits there.

        A job of a batch that is gone, or of an earlier epoch, is taken out of the queue.
        """
        answer = await self._store.call(
            "claim",
            ref.shard,
            lane=lane,
            via=ref.via,
            batch=ref.id,
            epoch=ref.epoch,
            claim=f"{self._worker} {secrets.token_hex(4)}",
            lease_ms=self._lease_ms,
            retention_s=self._retention_s,
            limits=way.rows(),
        )
        if answer[0] != b"CLAIMED":
            return NotClaimed(answer[0].decode())
        _, campaign, revision, crashes, now_ms, rows, segments, heads, room = answer
        return Claim(
            ref=ref,
            campaign=campaign.decode(),
            revision=revision,
            crashes=crashes,
            now_ms=now_ms,
            room=room if room >= 0 else None,
            deliveries=tuple(stored_deliveries(rows, segments)),
            heads={trigger.decode(): decode_head(blob) for trigger, blob, _, _ in heads},
            accepted_ms={trigger.decode(): int(at) for trigger, _, at, _ in heads},
            expires_ms={trigger.decode(): expires for trigger, _, _, expires in heads},
        )

    async def advance(
        self,
        claim: Claim,
        results: Sequence[Result],
        wanted: Sequence[Wanted] = (),
        *,
        way: Way = NOWHERE,
        solo: bool = False,
    ) -> Advanced:
        """Record outcomes and open the next window in one step, as far as permits reach.

        May be repeated as it is when the answer got lost.
        """
        answer = await self._call(claim, results, open=_wanted_rows(wanted), solo=solo, way=way)
        step = Step(answer[0].decode())
        if step is not Step.OPENED:
            return Advanced(step=step)
        _, now_ms, permits, wait_ms = answer
        return Advanced(step=step, now_ms=now_ms, permits=tuple(map(Permit, permits)), wait_ms=wait_ms)

    async def finish(
        self, claim: Claim, results: Sequence[Result], *, wait_ms: int = 0, throttled: bool = False
    ) -> Advanced:
        """Record outcomes, and close the batch or hand the rest back, due after `wait_ms`.

        `throttled`: it waits for permits, and keeps its place in the line for them. May be repeated as it is.
        """
        answer = await self._call(claim, results, finish=True, wait_ms=wait_ms, booked=throttled)
        return Advanced(step=Step(answer[0].decode()))

    async def _call(
        self,
        claim: Claim,
        results: Sequence[Result],
        *,
        open: Sequence[tuple[object, ...]] = (),  # noqa: A002 - the function's name for it
        way: Way = NOWHERE,
        solo: bool = False,
        finish: bool = False,
        wait_ms: int = 0,
        booked: bool = False,
    ) -> Any:
        return await self._store.call(
            "advance",
            claim.ref.shard,
            campaign=claim.campaign,
            batch=claim.ref.id,
            epoch=claim.ref.epoch,
            lease_ms=self._lease_ms,
            retention_s=self._retention_s,
            results=[_result_row(result) for result in results],
            open=open,
            provider=way.provider,
            limits=way.rows(),
            solo=solo,
            finish=finish,
            wait_ms=wait_ms,
            booked=booked,
        )

    async def renew(self, shard: int, refs: Sequence[BatchRef]) -> set[str]:
        """Give a sign of life, and keep these batches for another lease; the ids of those that were lost."""
        lost = await self._store.call(
            "renew",
            shard,
            lease_ms=self._lease_ms,
            batches=[(ref.id, ref.epoch) for ref in refs],
        )
        return {batch.decode() for batch in lost}

    async def sweep(self, shard: int, limit: int) -> tuple[int, list[tuple[str, str]]]:
        """Look at open batches that are due for it: how many, and (batch, what was done) for those repaired."""
        looked, repaired = await self._store.call(
            "sweep", shard, limit=limit, lease_ms=self._lease_ms, retention_s=self._retention_s
        )
        return looked, [(batch.decode(), done.decode()) for batch, done in repaired]


def _wanted_rows(wanted: Sequence[Wanted]) -> list[tuple[object, ...]]:
    return [(want.delivery_id, want.trigger_id, want.attempt, want.weight) for want in wanted]


def _result_row(result: Result) -> tuple[Any, ...]:
    end = result.conclusion
    return (
        result.delivery_id,
        result.trigger_id,
        end.state.value,
        result.attempts,
        end.reason.value,
        end.detail,
        end.due_ms,
        end.ambiguous,
        result.opened,
        end.provider_id,
        end.receipts_by_id and (f"{result.scope}/" if result.scope else ""),  # what Lua has for true is any text
    )
