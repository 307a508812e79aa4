"""Accepting triggers: what a group of calls writes, laid out so that one function writes it in one step."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from clarion_core.domain.ids import new_base
from clarion_core.domain.medium import Medium
from clarion_core.domain.trigger import Placement, Slice
from clarion_core.store.keys import PAGE
from clarion_core.store.store import Store, blob_position

SEGMENT = 10  # recipients read together: a retry reads those around its own, a batch reads whole pages
FLIGHT_DELIVERIES = 500
FLIGHT_BYTES = 1 << 20


class Verdict(StrEnum):
    """What became of one item."""

    CREATED = "CREATED"
    REPLAYED = "REPLAYED"  # accepted before, with the same fingerprint
    REUSED = "REUSED"  # accepted before, with another fingerprint
    GATE = "GATE"  # the campaign is not LIVE, or not at this revision any more
    UNSTAGED = "UNSTAGED"  # its pages are no longer there


@dataclass(slots=True, kw_only=True)
class AcceptPart:
    """A trigger's deliveries of one medium, through one channel configuration, at least one.

    `rows` are their recipients as records; empty once they are staged. `lines` names the line that each delivery stands
    in; empty where there is no ordering key.
    """

    medium: Medium
    configuration: str
    rows: list[bytes]
    lines: list[str] = field(default_factory=list)
    count: int = field(init=False)

    def __post_init__(self) -> None:
        self.count = len(self.rows)

    @property
    def via(self) -> str:
        """What its batches leave by, as records name it."""
        return via_of(self.medium, self.configuration)


def via_of(medium: Medium, configuration: str) -> str:
    """What batches of a medium and a channel configuration leave by, as records name it."""
    return f"{medium.value}/{configuration}"


@dataclass(slots=True, kw_only=True)
class AcceptItem:
    """One trigger to accept.

    It expires at `expire_ms` (since 1970), or that long after it is accepted, whatever comes first; 0 is never.
    """

    trigger_id: str
    campaign: str
    revision: int
    lane: str
    policy: str
    fingerprint: str
    head: bytes
    parts: list[AcceptPart]
    expire_ms: int = 0
    time_to_live_ms: int = 0
    placement: Placement | None = None
    count: int = field(init=False)
    bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.count = sum(part.count for part in self.parts)
        self.bytes = len(self.head) + sum(len(row) for part in self.parts for row in part.rows)

    @property
    def unstaged(self) -> int:
        """How many deliveries travel with it."""
        return sum(len(part.rows) for part in self.parts)

    @property
    def is_large(self) -> bool:
        """True where it does not fit into one flight and its pages go ahead of it."""
        return self.count > FLIGHT_DELIVERIES or self.bytes > FLIGHT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The verdict on an item; `at_ms` is when it was accepted, for CREATED and REPLAYED."""

    verdict: Verdict
    at_ms: int = 0


class AcceptStore:
    """Writes accepted triggers to one shard."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def stage(self, shard: int, item: AcceptItem) -> None:
        """Write a large trigger's pages ahead of it, in calls of bounded size, and empty its rows."""
        slices = []
        for part in item.parts:
            base = _base(shard, part.medium)
            await self._stage_part(shard, base, item.trigger_id, part)
            slices.append(Slice(base=base, start=0, count=part.count))
            part.rows = []
        item.placement = Placement(tuple(slices))

    async def _stage_part(self, shard: int, base: str, trigger_id: str, part: AcceptPart) -> None:
        segments: list[tuple[int, int, int, bytes]] = []
        size = 0
        for segment in segments_of(part.rows, 0):
            segments.append(segment)
            size += len(segment[3])
            if size > FLIGHT_BYTES // 2 or len(segments) * SEGMENT >= FLIGHT_DELIVERIES:
                await self._stage(shard, base, trigger_id, segments)
                segments, size = [], 0
        if segments:
            await self._stage(shard, base, trigger_id, segments)

    async def _stage(
        self, shard: int, base: str, trigger_id: str, segments: Sequence[tuple[int, int, int, bytes]]
    ) -> None:
        await self._store.call(
            "stage",
            shard,
            *[blob for *_, blob in segments],
            base=base,
            segments=[
                (page, offset, count, trigger_id, blob_position(index))
                for index, (page, offset, count, _) in enumerate(segments)
            ],
        )

    async def accept(self, shard: int, items: Sequence[AcceptItem]) -> list[Accepted]:
        """Write the items in one step, each with its own verdict; at most one flight (500 deliveries, 1 MiB)."""
        blobs: list[bytes] = []
        request = _layout(shard, items, blobs)
        answers = await self._store.call("accept", shard, *blobs, items=request)
        return [
            Accepted(verdict=Verdict(answer[0].decode()), at_ms=int(answer[1]) if len(answer) > 1 else 0)
            for answer in answers
        ]


def segments_of(rows: Sequence[bytes], start: int) -> list[tuple[int, int, int, bytes]]:
    """Cut recipients numbered from `start` on into (page number, offset in the page, count, blob)."""
    segments = []
    index = 0
    while index < len(rows):
        number = start + index
        count = min(SEGMENT, PAGE - number % PAGE, len(rows) - index)
        blob = bytes((0x90 | count,)) + b"".join(rows[index : index + count])  # msgpack array of up to 15
        segments.append((number // PAGE, number % PAGE, count, blob))
        index += count
    return segments


def _layout(shard: int, items: Sequence[AcceptItem], blobs: list[bytes]) -> list[dict[str, object]]:
    """The items as `accept` takes them. Small triggers of a campaign share pages, one behind the other."""
    request: list[dict[str, object]] = []
    bases: dict[tuple[str, int, str], str] = {}
    filled: dict[str, int] = {}
    for item in items:
        if item.placement is None:
            slices = []
            for part in item.parts:
                like = item.campaign, item.revision, part.via
                base = bases[like] = bases.get(like) or _base(shard, part.medium)
                slices.append(Slice(base=base, start=filled.get(base, 0), count=part.count))
                filled[base] = slices[-1].start + part.count
            item.placement = Placement(tuple(slices))
        parts = [_part(part, place, blobs) for part, place in zip(item.parts, item.placement.slices, strict=True)]
        request.append(_item(item, parts, head=blob_position(len(blobs))))
        blobs.append(item.head)
    return request


def _part(part: AcceptPart, place: Slice, blobs: list[bytes]) -> dict[str, object]:
    segments, staged = [], []
    if part.rows:
        for page, offset, count, blob in segments_of(part.rows, place.start):
            segments.append((page, offset, count, blob_position(len(blobs))))
            blobs.append(blob)
    else:
        staged = [(first // PAGE, min(PAGE, place.count - first)) for first in range(0, place.count, PAGE)]
    return {
        "base": place.base,
        "start": place.start,
        "via": part.via,
        "segments": segments,
        "staged": staged,
        "lines": part.lines,
    }


def _item(item: AcceptItem, parts: Sequence[object], head: int) -> dict[str, object]:
    return {
        "trigger": item.trigger_id,
        "campaign": item.campaign,
        "revision": item.revision,
        "lane": item.lane,
        "policy": item.policy,
        "fingerprint": item.fingerprint,
        "head": head,
        "placement": str(item.placement),
        "count": item.count,
        "parts": parts,
        "expire": item.expire_ms,
        "ttl": item.time_to_live_ms,
    }


def _base(shard: int, medium: Medium) -> str:
    return new_base(shard, time.time_ns() // 1_000_000, secrets.randbits, medium)
