"""A door to the store for one process: a TCP port of its own, so that what passes tells whose it is.

Whole commands and answers go through one by one. At each, the gate is asked; where it says so the process is dead by
then, and this command or answer does not go on. What the process had written before is still carried out, as in life.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from faults.points import Moment, Step
from faults.resp import Cutter
from faults.wire import Claims, Hand, Passing, Wire

CHUNK = 65_536


class Gate(Protocol):
    """Who decides about a process, and ends it."""

    def strikes(self, step: Step, moment: Moment) -> bool:
        """Whether the process was killed here."""
        ...


class Door:
    """`await open(gate)`: listens on `port` of 127.0.0.1. `hand` is what its process has in hand."""

    def __init__(self, store: Path, claims: Claims) -> None:
        self._store, self._claims = store, claims
        self.hand = Hand()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._broken: list[Exception] = []

    @property
    def url(self) -> str:
        """The door as a Redis URL."""
        return f"redis://127.0.0.1:{self._port}/0"

    async def open(self, gate: Gate) -> None:
        """Start listening."""
        self._gate = gate
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Let through what the dead process had written, then close. `hand` does not change any more."""
        self._server.close()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()
        for error in self._broken:  # what passed was not understood
            raise error

    def cut(self) -> int:
        """Drop every connection, as a network does; how many there were."""
        for end in self._ends:
            end.transport.abort()
        return len(self._ends) // 2

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            await self._carry(reader, writer)
        except OSError:  # the store is away
            pass
        except Exception as error:
            self._broken.append(error)
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        store_reader, store_writer = await asyncio.open_unix_connection(self._store)
        ends = {writer, store_writer}
        self._ends |= ends
        wire = Wire(self.hand, self._claims)
        try:
            answers = asyncio.create_task(self._answers(wire, store_reader, writer))
            with suppress(OSError):  # the process is gone
                await self._commands(wire, reader, store_writer)
            with suppress(OSError):  # or the store is
                store_writer.write_eof()  # what was written is answered before the store lets go
            await answers
        finally:
            wire.over()
            self._ends -= ends
            store_writer.transport.abort()

    async def _commands(self, wire: Wire, process: asyncio.StreamReader, store: asyncio.StreamWriter) -> None:
        cutter = Cutter()
        while data := await process.read(CHUNK):
            for command in cutter.feed(data):
                if self._struck(wire.command(command), Moment.BEFORE):
                    wire.withdraw()
                    return
                store.write(command)
            await store.drain()

    async def _answers(self, wire: Wire, store: asyncio.StreamReader, process: asyncio.StreamWriter) -> None:
        cutter = Cutter()
        with suppress(OSError):
            while data := await store.read(CHUNK):
                for answer in cutter.feed(data):
                    passing = wire.answer(answer)
                    if not self._struck(passing, Moment.BETWEEN):
                        process.write(answer)
                        self._struck(passing, Moment.AFTER)
        process.close()  # the store is gone; where the process is, it makes no difference

    def _struck(self, passing: Passing, moment: Moment) -> bool:
        return passing.step is not None and self._gate.strikes(passing.step, moment)
