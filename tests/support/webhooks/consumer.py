"""An endpoint on loopback that verifies with the specification's own library; its path says how it behaves."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError


@dataclass
class Called:
    """A call whose signature was right."""

    id: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Consumer:
    """`statuses`: what the endpoints with these names answer. A call is noted where it came whole and is taken."""

    secret: str
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    statuses: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    called: list[Called] = field(default_factory=list)
    unverified: int = 0
    at_once: int = 0
    at_once_max: int = 0

    def __post_init__(self) -> None:
        self.released = asyncio.Event()
        self._came = asyncio.Condition()
        self._bare: list[asyncio.Server] = []

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=16 * 2**20)
        app.router.add_route("*", "/{name}/{rest:.*}", self._call)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, 0, ssl_context=self.tls).start()
        self.port: int = self._runner.addresses[0][1]
        self.mute_port = await self._port(lambda _: None)
        self.closing_port = await self._port(lambda writer: writer.transport.abort())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.released.set()
        for server in self._bare:
            server.close()
        await self._runner.cleanup()

    @property
    def origin(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    async def wait_for(self, count: int) -> None:
        async with self._came:
            await self._came.wait_for(lambda: len(self.called) >= count)

    async def _port(self, on: Callable[[asyncio.StreamWriter], None]) -> int:
        """A port that accepts, and speaks no TLS."""

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            on(writer)
            await reader.read()
            writer.close()

        self._bare.append(await asyncio.start_server(accepted, self.host, 0))
        return int(self._bare[-1].sockets[0].getsockname()[1])

    async def _call(self, request: web.Request) -> web.StreamResponse:
        body, name = await request.read(), request.match_info["name"]
        try:
            Webhook(self.secret).verify(body, dict(request.headers))
        except WebhookVerificationError:
            self.unverified += 1
            return web.Response(status=401)
        if name in self.statuses:
            status, headers = self.statuses[name]
            return web.Response(status=status, headers=headers, text="what nobody is to see")
        self.at_once += 1
        self.at_once_max = max(self.at_once, self.at_once_max)
        try:
            return await self._take(request, name, body)
        finally:
            self.at_once -= 1

    async def _take(self, request: web.Request, name: str, body: bytes) -> web.StreamResponse:
        async with self._came:
            call = Called(request.headers["webhook-id"], request.path_qs, dict(request.headers), body)
            self.called.append(call)
            self._came.notify_all()
        if name == "hang":
            await self.released.wait()
        if name == "drop":
            assert request.transport
            request.transport.abort()
        if name == "drip":  # a status, and a body that never ends
            answer = web.StreamResponse(status=200, headers={"Content-Length": "1000"})
            await answer.prepare(request)
            await answer.write(b"x")
            await self.released.wait()
            return answer
        if name == "flood":
            return web.Response(status=200, body=bytes(10_000_000))
        return web.Response(status=204)
