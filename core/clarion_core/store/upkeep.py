"""What the sweep does to records besides batches: recount, trim, and whose turn it is."""

from __future__ import annotations

import time

from clarion_core.domain.trigger import Counts, Placement
from clarion_core.store import keys
from clarion_core.store.campaigns import COUNT_FIELDS, counts_of
from clarion_core.store.store import Store
from clarion_core.store.suppressions import Suppressions

EVENTS_KEPT_MS = 3_600_000
TRIGGERS_AT_ONCE = 20
SCAN_AT_ONCE = 200
TRIM_AT_ONCE = 500
EXPIRE_AT_ONCE = 500


class Upkeep:
    """Upkeep of a shard's records by one worker at a time."""

    def __init__(self, store: Store, *, worker: str, retention_s: int) -> None:
        self._store, self._worker, self._retention_s = store, worker, retention_s
        self._cursors: dict[int, int] = {}
        self._ahead: dict[int, list[str]] = {}  # triggers found and not handed out yet

    async def take_turn(self, shard: int, every_s: float) -> bool:
        """Whether this worker sweeps the shard now; the right lapses when it is not used for three turns."""
        name = keys.key(shard, "sweeper")
        lasts_ms = int(3000 * every_s)
        if await self._store.command("SET", name, self._worker, "NX", "PX", lasts_ms):
            return True
        if await self._store.command("GET", name) != self._worker.encode():
            return False
        return bool(await self._store.command("PEXPIRE", name, lasts_ms))

    async def trim_events(self, shard: int) -> None:
        """Forget events older than an hour."""
        before_ms = time.time_ns() // 1_000_000 - EVENTS_KEPT_MS
        await self._store.command("XTRIM", keys.key(shard, "events"), "MINID", "~", before_ms)

    async def trim_index(self, shard: int) -> bool:
        """Take triggers whose lifetime is over out of their campaign's index, a few; True where there may be more."""
        gone: int = await self._store.call("trim", shard, limit=TRIM_AT_ONCE)
        return gone == TRIM_AT_ONCE

    async def trim_lists(self) -> None:
        """Remove some of what is over from suppression and allow lists: entries that expired, counters of long ago."""
        await Suppressions(self._store).trim()

    async def expire(self, shard: int) -> bool:
        """End what waits of triggers whose time is over, a part; True where there may be more."""
        more, _ = await self._store.call("expire", shard, limit=EXPIRE_AT_ONCE, retention_s=self._retention_s)
        return bool(more)

    async def give_out_held(self, shard: int) -> bool:
        """Give out what is set aside and need not be any more, a part; True where there may be more."""
        return bool(await self._store.call("unhold_all", shard, limit=EXPIRE_AT_ONCE, retention_s=self._retention_s))

    async def next_triggers(self, shard: int) -> list[str]:
        """The next few triggers of a walk through all of them."""
        if not self._ahead.get(shard):
            self._ahead[shard] = await self._scan(shard)
        ahead = self._ahead[shard]
        self._ahead[shard] = ahead[TRIGGERS_AT_ONCE:]
        return ahead[:TRIGGERS_AT_ONCE]

    async def _scan(self, shard: int) -> list[str]:
        prefix = keys.key(shard, "trigger")
        cursor, names = await self._store.command("SCAN", self._cursors.get(shard, 0), "COUNT", SCAN_AT_ONCE)
        self._cursors[shard] = int(cursor)
        found = [name.decode() for name in names]
        return [name[len(prefix) :] for name in found if name.startswith(prefix)]

    async def recount(self, shard: int, trigger: str) -> tuple[Counts | None, Counts | None]:
        """A trigger's account as kept, and as its ledger adds up; None, None where it moved meanwhile or is gone."""
        before = await self._account(shard, trigger)
        if before is None:
            return None, None
        placement, kept = before
        counted = await self.counted(shard, trigger, placement)
        after = await self._account(shard, trigger)
        return (kept, counted) if after == before else (None, None)

    async def note_recounts(self, right: int, wrong: int) -> None:
        """Add to how many triggers were recounted, and how many of them differed."""
        name = keys.key(keys.CONTROL, "recounts")
        noted = [("HINCRBY", name, field, by) for field, by in (("right", right), ("wrong", wrong)) if by]
        await self._store.commands(noted)

    async def recounts(self) -> tuple[int, int]:
        """How many recounts found what was kept, and how many did not, of all workers since ever."""
        right, wrong = await self._store.command("HMGET", keys.key(keys.CONTROL, "recounts"), "right", "wrong")
        return int(right or 0), int(wrong or 0)

    async def counted(self, shard: int, trigger: str, place: Placement) -> Counts:
        """What the ledger says of a trigger's deliveries."""
        total = [0] * 9
        for page in pages_of(place):
            row = await self._store.call("recount", shard, trigger=trigger, page=page)
            total = [a + b for a, b in zip(total, row, strict=True)]
        queued, sending, retrying, sent, failed, suppressed, expired, cancelled, ambiguous = total
        return Counts(
            accepted=sum(total),
            in_flight=queued + sending + retrying,
            sent=sent,
            failed=failed,
            suppressed=suppressed,
            expired=expired,
            cancelled=cancelled,
            ambiguous=ambiguous,
        )

    async def _account(self, shard: int, trigger: str) -> tuple[Placement, Counts] | None:
        row = await self._store.command("HMGET", keys.key(shard, "trigger", trigger), "pg", *COUNT_FIELDS)
        return (Placement.parse(row[0].decode()), counts_of(row[1:])) if row[0] else None


def pages_of(placement: Placement) -> list[str]:
    """The pages that hold a trigger's deliveries."""
    return [
        f"{place.base}.{number}"
        for place in placement.slices
        for number in range(place.start // keys.PAGE, (place.start + place.count - 1) // keys.PAGE + 1)
    ]
