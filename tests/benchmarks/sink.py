"""The sink's side of the clock: when was the n-th message taken?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.processes import BenchError


class SinkWatch:
    """A connection to the counting sink (`support.smtp_sink --fast`)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._expected = 0

    async def expect(self, more: int) -> None:
        """Begin to wait for so many messages more than it has; the clock runs from the sink's next message on."""
        self._writer.write(b"XWAIT 0\r\n")
        taken = int((await self._reader.readline()).split()[1])
        self._expected = taken + more
        # The answer to NOOP tells that the sink has read what stands before it.
        self._writer.write(f"XWAIT {self._expected}\r\nNOOP\r\n".encode())
        await self._reader.readline()

    async def last(self, timeout_s: float) -> float:
        """`time.monotonic()` of the last of them. BenchError if they do not come, or more come."""
        try:
            async with asyncio.timeout(timeout_s):
                line = await self._reader.readline()
        except TimeoutError:
            raise BenchError(f"the sink did not get its {self._expected} messages within {timeout_s:g} s") from None
        _, taken, clock = line.split()
        if int(taken) != self._expected:
            raise BenchError(f"the sink got {int(taken)} messages instead of {self._expected}")
        return float(clock)

    async def times(self, domain: str, count: int, timeout_s: float) -> list[tuple[str, float]]:
        """The messages to a domain, once there are so many: address and `time.monotonic()`; a timed sink alone knows.

        BenchError if they do not come.
        """
        self._writer.write(f"XTIMES {count} {domain}\r\n".encode())
        found: list[tuple[str, float]] = []
        try:
            async with asyncio.timeout(timeout_s):
                while (line := (await self._reader.readline()).decode()).startswith("250-"):
                    address, clock = line[4:].split()
                    found.append((address, float(clock)))
        except TimeoutError:
            raise BenchError(f"the sink did not get {count} messages to {domain} within {timeout_s:g} s") from None
        return found


@asynccontextmanager
async def watch(port: int) -> AsyncIterator[SinkWatch]:
    """Watch the sink at this port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    try:
        yield SinkWatch(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
