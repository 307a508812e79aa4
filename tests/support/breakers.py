"""Time for breakers: their records are made older, so that no test waits for a pause to end."""

from __future__ import annotations

import msgspec

from clarion_core.store.keys import CONTROL, key
from clarion_core.store.store import Store


async def let_pass(store: Store, seconds: float, channel: str = "email") -> None:
    """Make every breaker's record as if that much more time had passed."""
    ms = round(1000 * seconds)
    for name in await store.command("KEYS", key(CONTROL, "breaker", f"{channel}/*")):
        record = msgspec.msgpack.decode(await store.command("GET", name))
        for field in ("u", "c", "l", "ht"):
            record[field] = max(record[field] - ms, 1) if record[field] else 0
        record["w"] = [[second - round(seconds), well, badly] for second, well, badly in record["w"]]
        await store.command("SET", name, msgspec.msgpack.encode(record), "KEEPTTL")
