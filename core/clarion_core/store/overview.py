"""What the whole store holds, for people who look after it."""

from __future__ import annotations

from clarion_core.domain.trigger import Counts
from clarion_core.store import keys
from clarion_core.store.campaigns import COUNT_FIELDS, counts_of
from clarion_core.store.store import Store

SCAN_AT_ONCE = 1_000
ACCOUNTS_AT_ONCE = 500


async def accounts(store: Store, shards: int) -> dict[str, Counts]:
    """The account of every campaign that ever accepted a trigger, by workspace/id; removed ones too."""
    found: dict[str, Counts] = {}
    for shard in range(shards):
        names = sorted(await store.command("SMEMBERS", keys.key(shard, "accounts")))
        for at in range(0, len(names), ACCOUNTS_AT_ONCE):
            some = [name.decode() for name in names[at : at + ACCOUNTS_AT_ONCE]]
            rows = await store.commands([("HMGET", keys.key(shard, "counts", each), *COUNT_FIELDS) for each in some])
            for campaign, row in zip(some, rows, strict=True):
                found[campaign] = found.get(campaign, Counts()) + counts_of(row)
    return {campaign: counts for campaign, counts in found.items() if counts != Counts()}


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
