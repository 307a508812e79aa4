"""Suppression and allow lists, and time for them."""

from __future__ import annotations

from clarion_core.store.keys import CONTROL, key
from clarion_core.store.store import Store


async def let_pass(store: Store, ms: int) -> None:
    """Have everything in the lists be that much older."""
    for name in await store.command("KEYS", key(CONTROL, "listed", "*")):
        flat = await store.command("HGETALL", name)
        for field, value in flat.items():
            await store.command("HSET", name, field, _older(value.decode(), ms // 1000))


def _older(value: str, seconds: int) -> str:
    if "|" not in value:  # a counter
        count, last = value.split(",")
        return f"{count},{int(last) - seconds}"
    first, expires, rest = value.split("|", 2)
    return f"{first[0]}{int(first[1:]) - seconds}|{max(0, int(expires) - seconds)}|{rest}"
