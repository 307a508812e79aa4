"""What deliveries leave behind in Redis, beyond what the callers sent."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from benchmarks import h2, orders
from benchmarks.deliver import send
from benchmarks.plan import Plan
from benchmarks.processes import BenchError
from benchmarks.rows import Row
from benchmarks.sink import watch
from benchmarks.stand import Stand, stand, store_of
from clarion_core.store.keys import KINDS, key
from clarion_core.store.records import decode_head, encode
from clarion_core.store.store import Store

_SETTLED_S, _POLL_S = 60.0, 0.05
_KIND = re.compile(rb"clarion:\{[^}]*\}:([a-z]+:?)")
_NAMES = {prefix.encode(): kind for kind, prefix in KINDS.items()}


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes a delivery beyond the payload, and in words which records they are in."""

    each: float
    note: str


class Scales:
    """Weighs what a store holds more than when it was made."""

    def __init__(self, store: Store, before: Counter[str]) -> None:
        self._store, self._before = store, before

    @classmethod
    @asynccontextmanager
    async def beside(cls, clarion: Stand) -> AsyncIterator[Scales]:
        """Scales for this stand, set to nothing now."""
        async with store_of(clarion) as store:
            yield cls(store, await _weights(store))

    async def bytes_each(self, deliveries: int) -> Kept:
        """Bytes a delivery, once all of them are settled."""
        await _settled(self._store)
        grown = await _weights(self._store)
        grown.subtract(self._before)
        payload = await _payload(self._store)
        grown.subtract(payload)
        parts = ", ".join(f"{kind} {size / deliveries:.0f}" for kind, size in grown.most_common() if size > deliveries)
        sent = sum(payload.values()) / deliveries
        return Kept(sum(grown.values()) / deliveries, f"beside {sent:.0f} of payload: {parts}")


async def measure(plan: Plan) -> list[Row]:
    """The records of settled deliveries, 100 recipients a call, and of single triggers that came in a crowd."""
    async with stand(plan.directory) as clarion, watch(clarion.sink_port) as sinks, Scales.beside(clarion) as scales:
        await send(clarion, sinks, orders.calls(plan.kept), plan.kept)
        batched = await scales.bytes_each(plan.kept)
    async with stand(plan.directory) as clarion, Scales.beside(clarion) as scales:
        loaded = await h2.load(clarion.target, orders.METHOD, orders.unary(), seconds=1.0)
        crowd = await scales.bytes_each(loaded.calls)
    return [
        Row(id="redis_bytes_per_delivery", value=batched.each, unit="bytes", note=batched.note),
        Row(id="redis_bytes_per_crowded_trigger", value=crowd.each, unit="bytes", note=crowd.note),
    ]


async def _settled(store: Store) -> None:
    """Return once nothing is in flight and no batch is open."""
    deadline = time.monotonic() + _SETTLED_S
    counts, still_open = key(0, "counts", f"default/{orders.CAMPAIGN_ID}"), key(0, "open")
    while True:
        in_flight, batches = await store.commands([("HGET", counts, "fly"), ("ZCARD", still_open)])
        if not int(in_flight or 0) and not batches:
            return
        if time.monotonic() > deadline:
            raise BenchError(f"{int(in_flight)} deliveries are still in flight after {_SETTLED_S:g} s")
        await asyncio.sleep(_POLL_S)


async def _weights(store: Store) -> Counter[str]:
    """Bytes of all of Clarion's keys, by kind."""
    names = [name async for name in _names(store) if name.startswith((b"clarion:", b"arq:"))]
    sizes = await store.commands([("MEMORY", "USAGE", name, "SAMPLES", 0) for name in names])
    weights: Counter[str] = Counter()
    for name, size in zip(names, sizes, strict=True):
        found = _KIND.match(name)
        weights[_NAMES.get(found[1], "other") if found else "arq"] += int(size or 0)
    return weights


async def _payload(store: Store) -> dict[str, int]:
    """Bytes of what callers sent, as it is kept, by the kind of key: recipients, and contexts they share."""
    names = [name async for name in _names(store)]
    pages = [name for name in names if name.startswith(key(0, "payload").encode())]
    heads = [name for name in names if name.startswith(key(0, "head").encode())]
    rows = await store.commands([("HVALS", name) for name in pages])
    contexts = [encode(decode_head(blob).context) for blob in await store.commands([("GET", name) for name in heads])]
    return {"payload": sum(len(blob) for values in rows for blob in values), "head": sum(map(len, contexts))}


async def _names(store: Store) -> AsyncIterator[bytes]:
    cursor = 0
    while True:
        cursor, names = await store.command("SCAN", cursor, "COUNT", 1000)
        for name in names:
            yield name
        cursor = int(cursor)
        if not cursor:
            return
