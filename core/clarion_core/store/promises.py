"""What the server we got promises, said at start: version, persistence, eviction, and where that is weak."""

from __future__ import annotations

import time
from dataclasses import dataclass

from redis.exceptions import ResponseError

from clarion_core.domain.errors import ClarionError
from clarion_core.store import keys
from clarion_core.store.keys import CONTROL
from clarion_core.store.store import Store

FLOOR = {"redis": (7, 0), "valkey": (7, 2)}
CLOCKS_AGREE_S = 1.0
FORMAT = 3  # of the records; another one is refused


_REMEDY = {
    "shards": "this process was told {ours}: they must agree",
    "format": "this version reads {ours}: let the one that wrote it finish its work, then begin with an empty store",
}


class StoreMismatch(ClarionError):
    """The store can't be used as it is: too old, or its records are of another number of shards or format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """What the server keeps. `warnings` say where it is weaker than "accepted means durable"."""

    server: str
    version: str
    appendonly: str
    appendfsync: str
    eviction: str
    maxmemory: int
    warnings: tuple[str, ...]


async def check(store: Store, shards: int) -> Promises:
    """Read what the server promises; `StoreMismatch` if it can't carry Clarion's records."""
    info = await store.command("INFO")
    server, version = _identity(info)
    numbers = tuple(int(part) for part in version.split(".")[:2])
    if numbers < FLOOR[server]:
        floor = ".".join(map(str, FLOOR[server]))
        raise StoreMismatch(f"{server} {version} is too old: {floor} is the least")
    await _agree_on_shards(store, shards)
    config = await _config(store)
    return Promises(
        server=server,
        version=version,
        appendonly=config.get("appendonly", "unknown"),
        appendfsync=config.get("appendfsync", "unknown"),
        eviction=config.get("maxmemory-policy", str(info.get("maxmemory_policy", "unknown"))),
        maxmemory=int(info.get("maxmemory", 0)),
        warnings=(*_warnings(config, info), *await _clock_warnings(store)),
    )


async def memory(store: Store) -> tuple[int, int]:
    """Bytes used, and allowed at most; 0: no limit set."""
    info = await store.command("INFO", "memory")
    return int(info["used_memory"]), int(info.get("maxmemory", 0))


def _identity(info: dict[str, object]) -> tuple[str, str]:
    if "valkey_version" in info:
        return "valkey", str(info["valkey_version"])
    return "redis", str(info["redis_version"])


async def _config(store: Store) -> dict[str, str]:
    """The settings that matter; empty where a managed server does not show them."""
    try:
        answer = await store.command("CONFIG", "GET", "append*", "maxmemory-policy")
    except ResponseError:
        return {}
    words = [word.decode() for word in answer]
    return dict(zip(words[::2], words[1::2], strict=True))


def _warnings(config: dict[str, str], info: dict[str, object]) -> list[str]:
    found = []
    if not config:
        return ["the server does not show its settings: durability and eviction are not known"]
    if config.get("appendonly") != "yes":
        found.append("appendonly is not yes: a restart of the store loses accepted triggers")
    elif config.get("appendfsync") != "always":
        found.append(
            f"appendfsync is {config.get('appendfsync')}, not always: a power cut loses up to 2 s of accepted triggers"
        )
    if config.get("maxmemory-policy") != "noeviction":
        found.append(f"maxmemory-policy is {config.get('maxmemory-policy')}, not noeviction: records may vanish")
    if not int(str(info.get("maxmemory", 0))):
        found.append("maxmemory is not set: a full machine ends the store instead of refusing triggers")
    return found


async def _clock_warnings(store: Store) -> list[str]:
    """Retries are due by the store's clock, and taken from the queue by the worker's."""
    asked = time.time()
    seconds, micros = await store.command("TIME")
    ahead_s = (asked + time.time()) / 2 - seconds - micros / 1e6
    if abs(ahead_s) < CLOCKS_AGREE_S:
        return []
    side = "ahead of" if ahead_s > 0 else "behind"
    return [f"this machine's clock is {abs(ahead_s):.1f} s {side} the store's: retries start by that much wrongly"]


async def _agree_on_shards(store: Store, shards: int) -> None:
    """The first process to come fixes the number of shards and the format; all others must agree."""
    name = keys.key(CONTROL, "meta")
    for field, ours in (("shards", shards), ("format", FORMAT)):
        await store.command("HSETNX", name, field, ours)
        stored = int(await store.command("HGET", name, field))
        if stored != ours:
            raise StoreMismatch(f"the store's {field} is {stored}, {_REMEDY[field].format(ours=ours)}")
