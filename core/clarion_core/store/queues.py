"""What waits in the queues of a lane: one for each via, `medium/workspace/configuration`, that it has batches for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clarion_core.domain.medium import Medium
from clarion_core.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The first jobs of a queue, and when each is due (ms), in that order. A job in hand is due when its lease ends."""

    via: str
    jobs: Sequence[tuple[str, int]]

    @property
    def medium(self) -> Medium:
        """What its batches travel by."""
        return Medium(self.via.partition("/")[0])

    @property
    def configuration(self) -> str:
        """The channel configuration that they use: `workspace/configuration`."""
        return self.via.partition("/")[2]


class Queues:
    """Reads queues."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def first(self, shard: int, lane: str, limit: int, limits: Mapping[str, int]) -> tuple[int, Sequence[Queue]]:
        """The store's time, and the first `limit` jobs of each queue of a lane that holds something.

        `limits` by via where it is another number; those with 0 are left out.
        """
        now_ms, rows = await self._store.call("queues", shard, lane=lane, limit=limit, limits=limits)
        return now_ms, [Queue(via=via.decode(), jobs=_pairs(flat)) for via, flat in rows]


def _pairs(flat: Sequence[bytes]) -> list[tuple[str, int]]:
    return [(job.decode(), int(due)) for job, due in zip(flat[::2], flat[1::2], strict=True)]
