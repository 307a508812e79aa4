"""A push service on loopback (RFC 8030), and browsers subscribed to it; an endpoint's path says how to behave.

It decrypts with http_ece, checks VAPID by RFC 8292, and the headers by RFC 8030 §5.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import http_ece
import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from support.push.notifications import p256_private_key

AUTH = b"sixteen bytes!!!"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@dataclass
class Pushed:
    """A message that came whole and kept the rules, as the browser decrypts it."""

    headers: dict[str, str]
    payload: dict[str, Any]


@dataclass
class PushService:
    """`statuses`: what the endpoints with these names answer."""

    tls: ssl.SSLContext
    pushed: list[Pushed] = field(default_factory=list)
    locations: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    statuses: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.released = asyncio.Event()
        self._came = asyncio.Condition()
        self._bare: list[asyncio.Server] = []

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/push/{name}/{number}", self._push)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls).start()
        self.port: int = self._runner.addresses[0][1]
        self.origin = f"https://127.0.0.1:{self.port}"
        self.mute_port = await self._port(lambda _: None)
        self.closing_port = await self._port(lambda writer: writer.transport.abort())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.released.set()
        for server in self._bare:
            server.close()
        await self._runner.cleanup()

    async def wait_for(self, count: int) -> None:
        async with self._came:
            await self._came.wait_for(lambda: len(self.pushed) >= count)

    def subscription(self, name: str = "browser", number: int = 0, port: int = 0) -> str:
        """What a browser hands to a site's server."""
        keys = {"p256dh": b64(point(p256_private_key("browser"))), "auth": b64(AUTH)}
        endpoint = f"https://127.0.0.1:{port or self.port}/push/{name}/{number}"
        return json.dumps({"endpoint": endpoint, "expirationTime": None, "keys": keys})

    async def _port(self, on: Callable[[asyncio.StreamWriter], None]) -> int:
        """A port that accepts, and speaks no TLS."""

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            on(writer)
            await reader.read()
            writer.close()

        self._bare.append(await asyncio.start_server(accepted, "127.0.0.1", 0))
        return int(self._bare[-1].sockets[0].getsockname()[1])

    async def _push(self, request: web.Request) -> web.StreamResponse:
        body, name = await request.read(), request.match_info["name"]
        if problem := self._problem(request, body):
            self.refused.append(problem)
            return web.Response(status=403 if problem.startswith("VAPID") else 400, text=problem)
        if name in self.statuses:
            status, headers = self.statuses[name]
            return web.Response(status=status, headers=headers)
        plain = http_ece.decrypt(body, private_key=p256_private_key("browser"), auth_secret=AUTH, version="aes128gcm")
        location = f"{self.origin}/message/{len(self.locations) + 1}"
        async with self._came:
            self.pushed.append(Pushed(headers=dict(request.headers), payload=json.loads(plain)))
            self.locations.append(location)
            self._came.notify_all()
        if name == "hang":
            await self.released.wait()
        if name == "drop":
            assert request.transport
            request.transport.abort()
        return web.Response(status=201, headers={"Location": location})

    def _problem(self, request: web.Request, body: bytes) -> str:
        headers = request.headers
        if len(body) > 4_096:
            return "too large"
        rules = {
            "TTL": bool(re.fullmatch(r"[0-9]+", headers.get("TTL", ""))),
            "Urgency": headers.get("Urgency", "normal") in ("very-low", "low", "normal", "high"),
            "Topic": bool(re.fullmatch(r"[A-Za-z0-9_-]{1,32}", headers.get("Topic", "x"))),
            "Content-Encoding": headers.get("Content-Encoding") == "aes128gcm",
        }
        broken = [name for name, kept in rules.items() if not kept]
        return broken[0] if broken else self._wrong_with_vapid(headers.get("Authorization", ""))

    def _wrong_with_vapid(self, authorization: str) -> str:
        found = re.fullmatch(r"vapid t=([^,\s]+), k=([A-Za-z0-9_-]+)", authorization)
        ours = p256_private_key("vapid")
        if not found or found[2] != b64(point(ours)):
            return "VAPID: not the key that was subscribed with"
        try:
            claims = jwt.decode(found[1], ours.public_key(), algorithms=["ES256"], audience=self.origin)
        except jwt.PyJWTError as error:
            return f"VAPID: {error}"
        if not time.time() < claims["exp"] <= time.time() + 86_400:
            return "VAPID: exp"
        return "" if urlsplit(claims.get("sub", "")).scheme in ("mailto", "https") else "VAPID: sub"
