"""Connections of HTTP/2 to one server: opened when needed, kept, asked with PING when they were silent for long."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from urllib.parse import urlsplit

from clarion_workers.channels.http import Answer
from clarion_workers.channels.push.http2 import Connection, Headers, NotProcessed
from clarion_workers.channels.push.stream_body import StreamBody

SILENT_S = 30.0
"""A connection that was silent for so long is asked whether it is still there, before it gets a request."""

PING_S = 5.0
"""How long that may take."""

AGAIN_S = 1.0
"""When a connection could not be opened beside others, the next one is tried after this."""


class Pool:
    """At most `connections` to the server of this URL. All waits end after `timeout_s`."""

    def __init__(self, url: str, tls: ssl.SSLContext, *, connections: int, timeout_s: float) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        self.authority = parts.netloc
        self._host, self._port = parts.hostname, parts.port or 443
        self._tls, self._most, self._timeout_s = tls, connections, timeout_s
        self._connections: list[Connection] = []
        self._opening: asyncio.Task[None] | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._not_before_s = 0.0  # where there are connections, another one is opened then

    async def request(self, headers: Headers, body: StreamBody) -> Answer:
        """The server's answer; see `Connection.request`. Raises what opening a connection raises, too."""
        async with asyncio.timeout(self._timeout_s):
            connection = await self._reserved()
            connection.reserved -= 1
            return await connection.request(headers, body)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._opening:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        for connection in self._connections:
            connection.close()

    async def _reserved(self) -> Connection:
        """A connection that is there and has room, of which some is reserved."""
        while True:
            connection = await self._with_room()
            connection.reserved += 1
            if connection.silent_s() < SILENT_S or await self._is_there(connection):
                return connection
            connection.reserved -= 1

    async def _is_there(self, connection: Connection) -> bool:
        try:
            async with asyncio.timeout(min(PING_S, self._timeout_s)):
                await connection.ping()
        except (ConnectionError, TimeoutError):
            connection.close("it did not answer a PING")
            return False
        except asyncio.CancelledError:
            connection.reserved -= 1
            raise
        return True

    async def _with_room(self) -> Connection:
        while True:
            self._connections = [each for each in self._connections if not each.is_over]
            best = max(self._connections, key=lambda each: each.room, default=None)
            if best and best.room >= 1:
                return best
            if self._may_open(len(self._connections)):
                self._opening = asyncio.create_task(self._open())
                self._opening.add_done_callback(self._opened)
            await self._change()

    async def _change(self) -> None:
        """Return when there may be room; raises why none can be made."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():
                self._wake()  # it was meant for somebody who stays
            raise

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._timeout_s):
            transport, connection = await loop.create_connection(
                lambda: Connection(self._wake), self._host, self._port, ssl=self._tls, server_hostname=self._host
            )
            try:
                if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
                    raise NotProcessed("the server does not speak HTTP/2")
                await connection.ready
            except BaseException:
                connection.close()
                raise
        self._connections.append(connection)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening = None
        error = None if task.cancelled() else task.exception()
        if error and self._connections:
            self._not_before_s = asyncio.get_running_loop().time() + AGAIN_S
        if error is None or self._connections:
            self._wake()
            return
        while self._waiting:
            if not (waiting := self._waiting.popleft()).done():
                waiting.set_exception(error)

    def _wake(self) -> None:
        """Wake as many as there is room for, and one who opens a connection where there may be another."""
        there = [each for each in self._connections if not each.is_over]
        room = sum(max(0, each.room) for each in there) + self._may_open(len(there))
        while self._waiting and room > 0:
            if not (waiting := self._waiting.popleft()).done():
                waiting.set_result(None)
                room -= 1

    def _may_open(self, there: int) -> bool:
        if self._opening is not None or there >= self._most:
            return False
        return there == 0 or asyncio.get_running_loop().time() >= self._not_before_s
