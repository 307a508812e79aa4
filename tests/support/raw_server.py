"""A server of raw bytes: each connection is a function of the test's, and what it read is kept."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Connection:
    """One connection, as the server sees it."""

    def __init__(self, server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer

    async def request(self) -> bytes:
        """The next request, whole; `asyncio.IncompleteReadError` where the connection ends before."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await self.reader.readexactly(int(lengths[0].partition(b":")[2]) if lengths else 0)
        async with self.server.changed:
            self.server.requests.append(head + body)
            self.server.changed.notify_all()
        return head + body

    async def say(self, answer: bytes) -> None:
        """Send these bytes."""
        self.writer.write(answer)
        await self.writer.drain()

    async def serve(self, answer: bytes = OK) -> None:
        """Answer every request with these bytes."""
        while True:
            await self.request()
            await self.say(answer)

    async def until_closed(self) -> None:
        """Return once the client has closed."""
        while await self.reader.read(65_536):
            pass


Script = Callable[[Connection], Awaitable[None]]


class RawServer:
    """`async with RawServer(script) as server`: the script is run for each connection, which then is closed."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self._script, self._tls = script, tls
        self.connections = 0
        self.requests: list[bytes] = []
        self.changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def wait_for(self, count: int) -> None:
        """Return once so many requests were read whole."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.requests) >= count)

    async def __aenter__(self) -> RawServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls, limit=2**23)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._script(Connection(self, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            writer.close()
            self._tasks.discard(task)
