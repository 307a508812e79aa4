"""Calls of addresses that strangers named: what may be called, judged at the socket.

A name is judged by every address it resolves to, and each address once more when the socket to it is made: the one that
was judged is the one that is connected to, so an answer of the name server that changes in between gains nothing. That
last look is the only one that literal addresses get in aiohttp (its resolvers are not asked for them).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from ipaddress import ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from clarion_core.configuration.egress import EgressPart
from clarion_core.domain.networks import forbidden, networks
from clarion_core.urls import Url, read_url

# RFC 6761, RFC 6762, RFC 8375, and `internal`, which ICANN reserved in 2024: names that mean something local.
LOCAL = ("localhost", "localdomain", "local", "internal", "home.arpa")

# Name servers are strangers' too, and may answer slowly. More threads than asyncio's own, which would be six here.
_LOOKUPS = 32

_called: ContextVar[tuple[str, int] | None] = ContextVar("called", default=None)

LookUp = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host; `OSError` where it has none. The port is for those that want it."""


class Forbidden(OSError):
    """An address may not be called. The text names the rule, and nothing that strangers should not learn."""


def forbidden_by(error: BaseException) -> Forbidden | None:
    """The rule behind an error of aiohttp's, if it was one."""
    cause = getattr(error, "os_error", error)
    return cause if isinstance(cause, Forbidden) else None


class Guard:
    """Says what may be called, by an `EgressPart`, and opens connections to nothing else.

    `look_up` resolves names; by default the system does. With a proxy, the proxy resolves them: names are judged as
    such, and the addresses they stand for are the proxy's to judge.
    """

    def __init__(self, egress: EgressPart, *, proxy_password: str = "", look_up: LookUp | None = None) -> None:
        self._allowed, self._denied = networks(egress.networks), networks(egress.denied)
        self._ports = frozenset((443, *egress.ports))
        self._plain_http = egress.plain_http
        own = [read_url(origin) for origin in egress.origins]
        self._origins = frozenset(url.origin for url in own)
        self._own = frozenset((url.host, url.port) for url in own)
        self._proxy, self._proxy_password = egress.proxy, proxy_password
        self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="lookup")
        self._look_up = look_up or self._ask_the_system

    def admit(self, text: str) -> Url:
        """The address to call, by whoever calls it: the task that asks is the one that may then connect.

        `Forbidden` for what is not understood or not allowed.
        """
        _called.set(None)
        try:
            url = read_url(text)
        except ValueError as error:
            raise Forbidden(f"it {error}") from None
        if url.origin not in self._origins:
            self._judge(url)
        _called.set((url.host, url.port))
        return url

    def session(self, *, tls: Any, connections: int, idle_s: float) -> dict[str, Any]:
        """What to open an `aiohttp.ClientSession` with: the guarded connector, or the proxy."""
        bounds = {"ssl": tls, "limit": connections, "keepalive_timeout": idle_s}
        if self._proxy is None:
            return {"connector": aiohttp.TCPConnector(resolver=_Resolver(self), socket_factory=self._socket, **bounds)}
        return {"connector": aiohttp.TCPConnector(**bounds), "proxy": self._proxy.url}

    @property
    def proxy_headers(self) -> Mapping[str, str] | None:
        """What to give to each request of that session besides, for the proxy alone: our credentials there."""
        if self._proxy is None or not self._proxy.username:
            return None
        # By this name aiohttp sends it as Proxy-Authorization, with CONNECT and without.
        return {"Authorization": aiohttp.encode_basic_auth(self._proxy.username, self._proxy_password)}

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """What a name resolves to. `Forbidden` where any of it may not be called; `OSError` where it is nothing."""
        found = await self._look_up(host, port)
        if (host, port) not in self._own:
            for address in found:
                self._check(address)
        return found

    def close(self) -> None:
        """Let go of the threads. A look-up that is under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _judge(self, url: Url) -> None:
        if url.scheme == "http" and not self._plain_http:
            raise Forbidden("plain http")
        if url.port not in self._ports:
            raise Forbidden(f"port {url.port}")
        if url.address is not None:
            self._check(url.host)
        elif "." not in url.host:
            raise Forbidden("a name without a dot")
        elif f".{url.host}".endswith(tuple(f".{name}" for name in LOCAL)):
            raise Forbidden("a local name")

    def _check(self, address: str) -> None:
        if rule := forbidden(ip_address(address), allowed=self._allowed, denied=self._denied):
            raise Forbidden(f"an address that is not public ({rule})")

    def _socket(self, info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
        """A socket for the address that is going to be connected to: the last look at it."""
        family, kind, protocol, _, address = info
        if _called.get() not in self._own:
            self._check(address[0])
        return socket.socket(family, kind, protocol)

    async def _ask_the_system(self, host: str, port: int) -> Sequence[str]:
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return list(dict.fromkeys(str(each[4][0]) for each in found))


class _Resolver(AbstractResolver):
    """Resolves for aiohttp what a guard lets pass."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host (aiohttp)."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._guard.addresses(host, port)
        ]

    async def close(self) -> None:
        """Nothing to let go of (aiohttp)."""
