"""Channel configurations in the store; and tests of them, which a server asks for and a worker answers."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from clarion_core.domain.configuration import Configuration, Finding, configuration_key, configuration_name
from clarion_core.domain.errors import ChannelConfigurationExists, ConcurrentChange, NoWorker, RequestIdReused
from clarion_core.store import keys
from clarion_core.store.campaigns import RequestKey
from clarion_core.store.keys import CONTROL
from clarion_core.store.store import Store

VERSIONS_KEPT = 20
TEST_TTL_S = 60  # what nobody took or nobody waits for

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Configuration).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The place of a configuration: what is there, the version counter, and the store's time."""

    configuration: Configuration | None
    version: int
    now_ms: int


class Asked(msgspec.Struct, array_like=True, frozen=True):
    """A test that a server asked for: its id, and the configuration."""

    id: str
    workspace: str
    configuration: str


class Told(msgspec.Struct, array_like=True, frozen=True):
    """What a worker found; `known` is false where it knows no such configuration."""

    worker: str
    known: bool
    findings: tuple[Finding, ...] = ()


class Configurations:
    """Reads and changes channel configurations."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, workspace: str, configuration_id: str) -> Slot:
        """What is kept under an id."""
        name = keys.key(CONTROL, "configuration", configuration_key(workspace, configuration_id))
        (version, record), (seconds, micros) = await self._store.commands([("HMGET", name, "ver", "rec"), ("TIME",)])
        return Slot(
            configuration=_decode(record) if record else None,
            version=int(version or 0),
            now_ms=int(seconds) * 1000 + int(micros) // 1000,
        )

    async def version(self, workspace: str, configuration_id: str, version: int) -> Configuration | None:
        """An earlier version; None where it is not kept."""
        name = keys.key(CONTROL, "configuration", configuration_key(workspace, configuration_id))
        record = await self._store.command("HGET", name, version)
        return _decode(record) if record else None

    async def page(self, workspace: str, after: str, limit: int) -> tuple[list[Configuration], str]:
        """Configurations in the order of their ids, those behind `after`; and what to go on behind, or nothing."""
        low = f"({after}" if after else "-"
        index = keys.key(CONTROL, "configurations", workspace)
        ids = [each.decode() for each in await self._store.command("ZRANGEBYLEX", index, low, "+", "LIMIT", 0, limit)]
        found = await self._records([configuration_key(workspace, each) for each in ids])
        return found, ids[-1] if len(ids) == limit else ""

    async def put(self, configuration: Configuration, slot: Slot, request: RequestKey) -> Configuration | None:
        """Store a configuration over what was read. The earlier answer, where the request id was used before.

        `ConcurrentChange` if somebody else changed it since, `ChannelConfigurationExists` if it was to be new;
        `RequestIdReused` for another body.
        """
        answer = await self._store.call(
            "configuration_put",
            CONTROL,
            _encode(configuration),
            configuration=configuration.key,
            workspace=configuration.workspace,
            id=configuration.id,
            request=request.id,
            fingerprint=request.fingerprint,
            read_version=slot.version,
            new=slot.configuration is None,
            version=configuration.version,
            kept=VERSIONS_KEPT,
        )
        if answer[0] == b"TAKEN":
            raise ChannelConfigurationExists(configuration.name)
        earlier = _verdict(answer, configuration.name, request)
        return _decode(earlier) if earlier else None

    async def delete(self, configuration: Configuration, request: RequestKey) -> bool:
        """Remove a configuration; True where the request id had done so before. Errors as of `put`."""
        answer = await self._store.call(
            "configuration_delete",
            CONTROL,
            configuration=configuration.key,
            workspace=configuration.workspace,
            id=configuration.id,
            request=request.id,
            fingerprint=request.fingerprint,
            read_version=configuration.version,
        )
        return _verdict(answer, configuration.name, request) is not None

    async def answered(self, workspace: str, request: RequestKey, name: str) -> bytes | None:
        """The answer that a request id got before, empty for a removal; None where it is new. `RequestIdReused`."""
        answer = await self._store.call(
            "request_seen", CONTROL, b"", request=f"{workspace}:{request.id}", fingerprint=request.fingerprint
        )
        return _verdict(answer, name, request) if answer else None

    async def changes(self) -> int:
        """Counts up with every change of any configuration."""
        return int(await self._store.command("GET", keys.key(CONTROL, "configuring")) or 0)

    async def all(self) -> list[Configuration]:
        """Every configuration of every workspace."""
        names = await self._store.command("SMEMBERS", keys.key(CONTROL, "configured"))
        return await self._records(sorted(name.decode() for name in names))

    async def _records(self, names: Sequence[str]) -> list[Configuration]:
        records = await self._store.commands(
            [("HGET", keys.key(CONTROL, "configuration", name), "rec") for name in names]
        )
        return [_decode(record) for record in records if record]  # one may be removed meanwhile

    # Tests.

    async def ask(self, workspace: str, configuration_id: str, *, blocking: Store, wait_s: float) -> Told:
        """Have a worker test a configuration. `NoWorker` where none answers within `wait_s`."""
        request = Asked(secrets.token_hex(8), workspace, configuration_id)
        waiting = keys.key(CONTROL, "tests")
        ends_s = time.monotonic() + wait_s
        asking = asyncio.ensure_future(
            self._store.commands([("RPUSH", waiting, _encode(request)), ("EXPIRE", waiting, TEST_TTL_S)])
        )
        try:
            await asyncio.shield(asking)
            while (left_s := ends_s - time.monotonic()) > 0:
                # Redis takes 0 for "for ever", and the connection gives up what takes longer than a second.
                at_once_s = max(0.01, min(left_s, 1.0))
                found = await blocking.command("BLPOP", keys.key(CONTROL, "tested", request.id), at_once_s)
                if found:
                    return msgspec.msgpack.decode(found[1], type=Told)
        finally:
            # Nobody waits for it any more, and least of all whoever was cancelled.
            await asyncio.shield(self._take_back(asking, request))
        raise NoWorker(configuration_name(configuration_id), wait_s)

    async def _take_back(self, asking: asyncio.Future[list[Any]], request: Asked) -> None:
        await asking  # taken back before it is there, it would stay
        await self._store.command("LREM", keys.key(CONTROL, "tests"), 1, _encode(request))

    async def asked(self) -> Asked | None:
        """A test that nobody has taken yet; it is the caller's from now on."""
        taken = await self._store.command("LPOP", keys.key(CONTROL, "tests"))
        return msgspec.msgpack.decode(taken, type=Asked) if taken else None

    async def answer(self, request: Asked, answer: Told) -> None:
        """Tell whoever asked."""
        name = keys.key(CONTROL, "tested", request.id)
        await self._store.commands([("RPUSH", name, _encode(answer)), ("EXPIRE", name, TEST_TTL_S)])


def decode_configuration(record: bytes) -> Configuration:
    """A record as it was kept."""
    return _decode(record)


def _verdict(answer: Sequence[bytes], name: str, request: RequestKey) -> bytes | None:
    """The earlier answer, None where the call took effect now."""
    match answer[0]:
        case b"OK":
            return None
        case b"REPLAYED":
            return answer[1]
        case b"REUSED":
            raise RequestIdReused(request.id, name)
        case _:
            raise ConcurrentChange(name)
