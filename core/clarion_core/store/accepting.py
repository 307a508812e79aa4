"""Accepting triggers: what a group of calls writes, laid out so that one function writes it in one step."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from clarion_core.domain.ids import new_base
from clarion_core.domain.trigger import Placement
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
class AcceptItem:
    """One trigger to accept. `rows` are its recipients as records; empty once they are staged under `placement`.

    It expires at `expire_ms` (since 1970), or that long after it is accepted, whatever comes first; 0 is never. `lines`
    names the line that each recipient's delivery stands in; empty where there is no ordering key.
    """

    trigger_id: str
    campaign: str
    revision: int
    lane: str
    policy: str
    fingerprint: str
    head: bytes
    count: int
    rows: list[bytes]
    expire_ms: int = 0
    time_to_live_ms: int = 0
    lines: list[str] = field(default_factory=list)
    placement: Placement | None = None
    bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.bytes = len(self.head) + sum(map(len, self.rows))

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
        """Write a large trigger's pages ahead of it, in calls of bounded size, and empty its `rows`."""
        placement = Placement(base=_base(shard), start=0, count=item.count)
        segments: list[tuple[int, int, int, bytes]] = []
        size = 0
        for segment in segments_of(item.rows, 0):
            segments.append(segment)
            size += len(segment[3])
            if size > FLIGHT_BYTES // 2 or len(segments) * SEGMENT >= FLIGHT_DELIVERIES:
                await self._stage(shard, placement.base, item.trigger_id, segments)
                segments, size = [], 0
        if segments:
            await self._stage(shard, placement.base, item.trigger_id, segments)
        item.placement, item.rows = placement, []

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
    bases: dict[tuple[str, int], str] = {}
    filled: dict[str, int] = {}
    for item in items:
        staged: list[tuple[int, int]] = []
        if item.placement is None:
            base = bases.setdefault((item.campaign, item.revision), "") or _base(shard)
            bases[item.campaign, item.revision] = base
            item.placement = Placement(base=base, start=filled.get(base, 0), count=item.count)
            filled[base] = item.placement.start + item.count
        elif not item.rows:
            pages = range(0, item.count, PAGE)
            staged = [(first // PAGE, min(PAGE, item.count - first)) for first in pages]
        segments = []
        for page, offset, count, blob in segments_of(item.rows, item.placement.start):
            segments.append((page, offset, count, blob_position(len(blobs))))
            blobs.append(blob)
        request.append(_item(item, segments, staged, head=blob_position(len(blobs))))
        blobs.append(item.head)
    return request


def _item(item: AcceptItem, segments: Sequence[object], staged: list[tuple[int, int]], head: int) -> dict[str, object]:
    assert item.placement is not None
    return {
        "trigger": item.trigger_id,
        "campaign": item.campaign,
        "revision": item.revision,
        "lane": item.lane,
        "policy": item.policy,
        "fingerprint": item.fingerprint,
        "head": head,
        "base": item.placement.base,
        "placement": str(item.placement),
        "count": item.count,
        "segments": segments,
        "staged": staged,
        "expire": item.expire_ms,
        "ttl": item.time_to_live_ms,
        "lines": item.lines,
    }


def _base(shard: int) -> str:
    return new_base(shard, time.time_ns() // 1_000_000, secrets.randbits)
