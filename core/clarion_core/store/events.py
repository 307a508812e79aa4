"""The event stream of a shard: one entry a call that moved deliveries, each with the account after it."""

from __future__ import annotations

from collections.abc import Iterator

from clarion_core.domain.trigger import DeliveryMove, TriggerEvent, TriggerState
from clarion_core.store import keys
from clarion_core.store.campaigns import counts_of
from clarion_core.store.store import Store

READ_AT_ONCE = 200
BLOCK_MS = 1_000


class EventStore:
    """Reads events in order; `blocking` is a client that may wait at the server."""

    def __init__(self, store: Store, blocking: Store) -> None:
        self._store, self._blocking = store, blocking

    async def last_id(self, shard: int) -> str:
        """The newest entry's id, `0-0` where there is none."""
        entries = await self._store.command("XREVRANGE", keys.key(shard, "events"), "+", "-", "COUNT", 1)
        return entries[0][0].decode() if entries else "0-0"

    async def is_kept(self, shard: int, event_id: str) -> bool:
        """Whether everything behind this entry is still there to be read."""
        first = await self._store.command("XRANGE", keys.key(shard, "events"), "-", "+", "COUNT", 1)
        return event_id == "0-0" or (bool(first) and order(event_id) >= order(first[0][0].decode()))

    async def wait(self, shard: int, after: str) -> list[tuple[str, list[TriggerEvent]]]:
        """Entries behind `after`, at most 200; waits up to a second for the first."""
        stream = keys.key(shard, "events")
        answer = await self._blocking.command(
            "XREAD", "COUNT", READ_AT_ONCE, "BLOCK", BLOCK_MS, "STREAMS", stream, after
        )
        return [_entry(row) for _, rows in answer for row in rows]

    async def between(self, shard: int, after: str, upto: str) -> list[tuple[str, list[TriggerEvent]]]:
        """Entries behind `after` up to and with `upto`, at most 200."""
        stream = keys.key(shard, "events")
        rows = await self._store.command("XRANGE", stream, f"({after}", upto, "COUNT", READ_AT_ONCE)
        return [_entry(row) for row in rows]


def order(event_id: str) -> tuple[int, int]:
    """An entry id as what it is ordered by; ValueError where it can't be one."""
    ms, _, sequence = event_id.partition("-")
    return int(ms), int(sequence)


def _entry(row: tuple[bytes, dict[bytes, bytes]]) -> tuple[str, list[TriggerEvent]]:
    event_id = row[0].decode()
    return event_id, list(_events(event_id, row[1]))


def _events(event_id: str, fields: dict[bytes, bytes]) -> Iterator[TriggerEvent]:
    for trigger, text in fields.items():
        state, time_ms, counts, base, moves = text.decode().split(";", 4)
        yield TriggerEvent(
            id=event_id,
            trigger=trigger.decode(),
            state=TriggerState(state),
            time_ms=int(time_ms),
            counts=counts_of([value.encode() for value in counts.split(",")]),
            base=base,
            moves=tuple(_move(move) for move in moves.split(" ")),
        )


def _move(text: str) -> DeliveryMove:
    number, state, attempts, reason = text.split(":", 3)
    return DeliveryMove(number=int(number), state=state, attempts=int(attempts), reason=reason)
