"""What the whole store holds, for people who look after it."""

from __future__ import annotations

from clarion_core.store import keys
from clarion_core.store.store import Store

SCAN_AT_ONCE = 1_000


async def in_flight(store: Store, shards: int) -> int:
    """Deliveries that were accepted and are not accounted for yet, of all campaigns. Walks through all keys."""
    return sum([await _in_flight(store, shard) for shard in range(shards)])


async def _in_flight(store: Store, shard: int) -> int:
    pattern = keys.key(shard, "counts", "*")
    names: set[bytes] = set()  # a scan may name a key twice
    cursor = b"0"
    while True:
        cursor, found = await store.command("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_AT_ONCE)
        names.update(found)
        if not int(cursor):
            break
    counts = await store.commands([("HGET", name, "fly") for name in sorted(names)])
    return sum(int(count or 0) for count in counts)
