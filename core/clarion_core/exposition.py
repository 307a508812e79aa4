"""Metrics over HTTP, in the form that Prometheus scrapes.

What is exposed is read when it is asked for. The port is a small HTTP server on the process's own loop: it needs no
thread, its errors are logged like all others, and a process that is too busy to answer is seen to be so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from email.parser import BytesHeaderParser

from prometheus_client import Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from clarion_core import logs
from clarion_core.environment import variable
from clarion_core.settings import OFF, is_loopback

REQUEST_S = 5.0  # for a request to come in, and for the answer to be taken

Read = Callable[[], Awaitable[Sequence[Metric]]]

log = logs.get(__name__)


class MetricsPortTaken(Exception):
    """The port can't be bound; the message is for people."""


class Exposition:
    """Exposes what `read` gives, and what the process itself uses, at `address`: HOST:PORT, or off."""

    def __init__(self, address: str, read: Read) -> None:
        self._wanted = "" if address == OFF else address
        self._read = read
        self._process = ProcessCollector(registry=None)
        self._server: asyncio.Server | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self.address = ""  # with the port that was taken; empty while nothing is exposed

    async def start(self) -> None:
        """Take the port. `MetricsPortTaken`."""
        if not self._wanted:
            return
        host, _, port = self._wanted.rpartition(":")
        try:
            self._server = await asyncio.start_server(self._connected, host.strip("[]"), int(port))
        except OSError:
            remedy = f"is it in use? Port 0 takes a free one, {OFF} takes none"
            raise MetricsPortTaken(f"{variable('metrics')} {self._wanted} can't be bound; {remedy}") from None
        self.address = f"{host}:{self._server.sockets[0].getsockname()[1]}"
        if not is_loopback(host):
            log.warning(
                "metrics_open_to_the_network",
                address=self.address,
                meaning="whoever can reach this port can read the names of workspaces and campaigns, and their counts",
            )

    async def stop(self) -> None:
        """Give the port back; answers under way are cut off."""
        if self._server is None:
            return
        self._server.close()
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):  # no HTTP
                async with asyncio.timeout(REQUEST_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                answer = await self._answer(head)
                async with asyncio.timeout(REQUEST_S):
                    writer.write(answer)
                    await writer.drain()
        finally:
            self._answering.discard(task)
            writer.close()

    async def _answer(self, head: bytes) -> bytes:
        line, _, rest = head.partition(b"\r\n")
        method, _, target = line.decode("latin-1").partition(" ")
        path = target.partition(" ")[0].partition("?")[0]
        if method not in ("GET", "HEAD"):
            return _response("405 Method Not Allowed", "text/plain", b"GET is what there is\n")
        if path != "/metrics":
            return _response("404 Not Found", "text/plain", b"metrics are at /metrics\n")
        try:
            found = [*await self._read(), *self._process.collect()]
        except Exception:
            log.exception("metrics_failed")
            return _response("500 Internal Server Error", "text/plain", b"the log has the cause\n")
        encode, kind = choose_encoder(BytesHeaderParser().parsebytes(rest).get("Accept", ""))
        # In a thread: with many campaigns it takes a while, and calls go on meanwhile.
        body = await asyncio.to_thread(encode, _Read(found))
        return _response("200 OK", kind, body, only_head=method == "HEAD")


class _Read(Collector):
    """What was read, as the library wants it."""

    def __init__(self, found: Sequence[Metric]) -> None:
        self._found = found

    def collect(self) -> Sequence[Metric]:
        return self._found


def _response(status: str, kind: str, body: bytes, *, only_head: bool = False) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (b"" if only_head else body)
