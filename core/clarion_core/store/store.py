"""The door to Redis: commands, and Clarion's own functions, with errors of the domain.

The functions are Lua files made into one library. Its name carries a hash of its source, so that processes of two
versions work side by side; it is loaded again wherever the server says it does not know a function (a restart without
its files, a fail-over).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from clarion_core.store import keys
from clarion_core.store.failures import translated

_FILES = (
    "base",
    "changes",
    "accept",
    "facts",
    "limits",
    "members",
    "batch",
    "queue",
    "trigger",
    "dead",
    "campaign",
    "configuration",
    "sweep",
    "breaker",
    "suppression",
    "workers",
    "register",
)
_encode = msgspec.msgpack.Encoder().encode


def source() -> tuple[str, str]:
    """The library's text and the hash in its name."""
    folder = resources.files("clarion_core.store") / "functions"
    body = keys.lua_header() + "\n".join((folder / f"{name}.lua").read_text("utf-8") for name in _FILES)
    digest = hashlib.sha256(body.encode()).hexdigest()[:10]
    return f"#!lua name=clarion_{digest}\nlocal HASH = '{digest}'\n{body}", digest


class Store:
    """Sends commands and calls functions. `StoreUnavailable` and `StoreFull` are what it raises of its own."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # redis-py types its answers for the blocking client too
        self._source, self._hash = source()

    async def load(self) -> None:
        """Make the functions known to the server; harmless where they are."""
        with translated():
            await self._redis.function_load(self._source, replace=True)

    async def command(self, *command: object, **options: object) -> Any:
        """Send one command; the answer as redis-py reads it."""
        with translated():
            return await self._redis.execute_command(*command, **options)

    async def commands(self, commands: Sequence[Sequence[object]]) -> list[Any]:
        """Send several commands in one round trip; their answers in order."""
        if not commands:
            return []
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                for command in commands:
                    pipe.execute_command(*command)
                answers: list[Any] = await pipe.execute()
        return answers

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()

    async def call(self, name: str, shard: int | str, *blobs: bytes, **request: object) -> Any:
        """Call a function with a request, and blobs behind it, that touch one shard. See `blob_position`."""
        arguments = (_encode({"shard": str(shard), **request}), *blobs)
        with translated():
            try:
                return await self._fcall(name, shard, arguments)
            except ResponseError as error:
                if "Function not found" not in str(error):
                    raise
                await self.load()
                return await self._fcall(name, shard, arguments)

    async def _fcall(self, name: str, shard: int | str, arguments: Sequence[bytes]) -> Any:
        # One key of the shard is named so that a cluster routes the call there.
        return await self._redis.execute_command(
            "FCALL", f"{name}_{self._hash}", 1, keys.key(shard, "meta"), *arguments
        )


def blob_position(index: int) -> int:
    """Where a function finds the `index`-th blob among its arguments: Lua counts from 1, the request comes first."""
    return index + 2
