"""The event stream of a shard: one entry a call that moved deliveries, each with the account after it."""

from __future__ import annotations

from collections.abc import Container

from redis.exceptions import ResponseError

from clarion_core.domain.feedback import NO_FEEDBACK
from clarion_core.domain.trigger import DeliveryMove, TriggerEvent, TriggerState
from clarion_core.store import keys
from clarion_core.store.campaigns import counts_of
from clarion_core.store.facts import feedback_of, parse_fact
from clarion_core.store.store import Store

READ_AT_ONCE = 200
BLOCK_MS = 1_000
NOTHING = "0-0"  # before the first entry


class EventStore:
    """Reads events in order; `blocking` is a client that may wait at the server."""

    def __init__(self, store: Store, blocking: Store) -> None:
        self._store, self._blocking = store, blocking

    async def last_id(self, shard: int) -> str:
        """The newest entry's id, NOTHING where there is none."""
        entries = await self._store.command("XREVRANGE", keys.key(shard, "events"), "+", "-", "COUNT", 1)
        return entries[0][0].decode() if entries else NOTHING

    async def is_kept(self, shard: int, event_id: str) -> bool:
        """Whether everything behind this entry is still there to be read."""
        stream = keys.key(shard, "events")
        if event_id == NOTHING:
            return await self._is_whole(stream)
        first = await self._store.command("XRANGE", stream, "-", "+", "COUNT", 1)
        return bool(first) and order(event_id) >= order(first[0][0].decode())

    async def _is_whole(self, stream: str) -> bool:
        """Whether nothing was ever trimmed."""
        try:
            info = await self._store.command("XINFO STREAM", stream)
        except ResponseError:  # there is no stream yet
            return True
        return bool(info["entries-added"] == info["length"])

    async def wait(self, shard: int, after: str, wanted: Container[str]) -> list[tuple[str, list[TriggerEvent]]]:
        """Entries behind `after`, at most 200, with the events of wanted triggers; waits a second for the first."""
        stream = keys.key(shard, "events")
        answer = await self._blocking.command(
            "XREAD", "COUNT", READ_AT_ONCE, "BLOCK", BLOCK_MS, "STREAMS", stream, after
        )
        return [_entry(row, wanted) for _, rows in answer for row in rows]

    async def between(
        self, shard: int, after: str, upto: str, wanted: Container[str]
    ) -> list[tuple[str, list[TriggerEvent]]]:
        """Entries behind `after` up to and with `upto`, at most 200, with the events of wanted triggers."""
        stream = keys.key(shard, "events")
        rows = await self._store.command("XRANGE", stream, f"({after}", upto, "COUNT", READ_AT_ONCE)
        return [_entry(row, wanted) for row in rows]


def order(event_id: str) -> tuple[int, int]:
    """An entry id as what it is ordered by; ValueError where it can't be one."""
    ms, _, sequence = event_id.partition("-")
    return int(ms), int(sequence)


def _entry(row: tuple[bytes, dict[bytes, bytes]], wanted: Container[str]) -> tuple[str, list[TriggerEvent]]:
    event_id = row[0].decode()
    named = [(name.decode(), text) for name, text in row[1].items()]
    return event_id, [_event(event_id, trigger, text.decode()) for trigger, text in named if trigger in wanted]


def _event(event_id: str, trigger: str, text: str) -> TriggerEvent:
    state, time_ms, counts, *groups = text.split(";")
    numbers = [value.encode() for value in counts.split(",")]
    return TriggerEvent(
        id=event_id,
        trigger=trigger,
        state=TriggerState(state),
        time_ms=int(time_ms),
        counts=counts_of([*numbers[:8]]),
        moves=tuple(
            _move(base, move)
            for base, moves in zip(groups[::2], groups[1::2], strict=True)
            for move in moves.split(" ")
        ),
        feedback=feedback_of(numbers[8:]) if numbers[8:] else NO_FEEDBACK,  # an older process's function told none
    )


def _move(base: str, text: str) -> DeliveryMove:
    number, state, attempts, reason, provider, *fact = text.split(":", 5)
    return DeliveryMove(
        delivery=f"{base}-{number}",
        state=state,
        attempts=int(attempts),
        reason=reason,
        provider=provider,
        fact=parse_fact(fact[0]) if fact else None,
    )
