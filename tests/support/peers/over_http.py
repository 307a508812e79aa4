"""What the peers of providers over HTTP share: a server on loopback with TLS, and what it took."""

from __future__ import annotations

import asyncio
import ssl
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trustme
from aiohttp import web

from clarion_workers.channels.http import HttpChannel

from .peer import BEHAVIOURS, Peer


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A message that was handed over whole."""

    delivery: str
    text: str
    key: str = ""
    lifetime_s: float | None = None
    id: str = ""


class Refused(Exception):
    """The request is not as the provider wants it: this is the answer."""

    def __init__(self, answer: web.Response) -> None:
        super().__init__()
        self.answer = answer


class HttpPeer(Peer):
    """A provider that is told how to behave by what is in a request.

    It can't fail before hand-over as a message wants it, since it learns of the message by the hand-over:
    tests/channels/test_http.py has what breaks before.
    """

    behaviours = tuple(each for each in BEHAVIOURS if "before" not in each)
    throttle_s: float | None = 7.0

    def __init__(self, ca: trustme.CA) -> None:
        super().__init__()
        self.taken: list[Taken] = []
        self.changed = asyncio.Condition()
        self.port = 0
        self.trust = ssl.create_default_context()
        ca.configure_trust(self.trust)
        self.channels: list[HttpChannel[Any]] = []

    @abstractmethod
    async def read(self, request: web.Request) -> tuple[str, Taken]:
        """How to behave, and the message. `Refused` where the request breaks the provider's rules."""

    @abstractmethod
    async def looked_at(self, request: web.Request) -> web.Response:
        """What it says to a request that only looks. `Refused` as by `read`."""

    @abstractmethod
    def answer(self, behaviour: str, taken: Taken) -> web.Response:
        """What the provider says for this behaviour."""

    @abstractmethod
    def made(self, url: str, tls: ssl.SSLContext | None, **changes: Any) -> HttpChannel[Any]:
        """A channel to this address."""

    def channel(self, **changes: Any) -> HttpChannel[Any]:
        return self.kept(f"https://127.0.0.1:{self.port}", self.trust, **changes)

    def distrusting(self) -> HttpChannel[Any] | None:
        return self.kept(f"https://127.0.0.1:{self.port}", None)

    def unreachable(self) -> HttpChannel[Any]:
        return self.kept("https://127.0.0.1:9", self.trust)  # the discard service, which nobody runs

    def kept(self, url: str, tls: ssl.SSLContext | None, **changes: Any) -> HttpChannel[Any]:
        self.channels.append(self.made(url, tls, **changes))
        return self.channels[-1]

    def received(self) -> list[str]:
        return [each.delivery for each in self.taken]

    def received_texts(self) -> list[str]:
        return [each.text for each in self.taken]

    def keys(self) -> list[str] | None:
        return [each.key for each in self.taken]

    def ids(self) -> list[str] | None:
        return [each.id for each in self.taken]

    def lifetimes_s(self) -> list[float | None] | None:
        return [each.lifetime_s for each in self.taken]

    async def wait_for(self, count: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.taken) >= count)

    async def close(self) -> None:
        for channel in self.channels:
            await channel.close()

    async def handle(self, request: web.Request) -> web.Response:
        try:
            if request.method in ("GET", "HEAD"):
                return await self.looked_at(request)
            behaviour, taken = await self.read(request)
        except Refused as refused:
            return refused.answer
        if behaviour == "takes" or "after" in behaviour:
            async with self.changed:
                self.taken.append(taken)
                self.changed.notify_all()
        if "hangs" in behaviour:
            await self.released.wait()
        if "after" in behaviour:
            assert request.transport
            request.transport.abort()
        return self.answer(behaviour, taken)


@asynccontextmanager
async def serving(peer: HttpPeer, tls: ssl.SSLContext | None) -> Any:
    """The peer, with its server running."""
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]] = peer.handle
    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    peer.port = runner.addresses[0][1]
    try:
        yield peer
    finally:
        peer.released.set()
        await runner.cleanup()
