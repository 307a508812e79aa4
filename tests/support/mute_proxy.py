"""A TCP door to a server behind a Unix socket whose connections can go dead without a word.

As when a firewall forgets them or a machine moves: nothing is closed, nothing comes through, and new ones work.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from types import TracebackType


class MuteProxy:
    """`async with MuteProxy(path) as proxy`: listens on `proxy.port` of 127.0.0.1."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tasks: set[asyncio.Task[None]] = set()
        self._mute: set[int] = set()
        self._count = 0
        self._word = b""
        self.muted = asyncio.Event()  # a connection went dead because of `mute_at`

    @property
    def url(self) -> str:
        """The door as a Redis URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def mute(self) -> None:
        """All connections so far are dead from now on."""
        self._mute |= set(range(self._count + 1))

    def mute_at(self, word: bytes) -> None:
        """The connection that next carries this word is dead from there on."""
        self._word = word
        self.muted.clear()

    async def __aenter__(self) -> MuteProxy:
        """Start listening."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut everything."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self._count += 1
        number = self._count
        back_reader, back_writer = await asyncio.open_unix_connection(self._path)
        try:
            with suppress(ConnectionError):
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pump(number, reader, back_writer))
                    both.create_task(self._pump(number, back_reader, writer))
        finally:
            self._tasks.discard(task)
            for end in (writer, back_writer):
                end.transport.abort()

    async def _pump(self, number: int, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            if self._word and self._word in data:
                self._word = b""
                self._mute.add(number)
                self.muted.set()
            if number not in self._mute:
                sink.write(data)
                await sink.drain()
        if number not in self._mute:
            sink.close()
