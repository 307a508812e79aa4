"""One transport that speaks SMPP's units: octets out, whole units in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from clarion_workers.channels.sms.smpp.pdu import HEADER, PDU_MAX

OnUnit = Callable[[int, int, int, bytes], None]


def ignore_unit(command: int, status: int, sequence: int, body: bytes) -> None:
    """The handler of units nobody waits for."""


def ignore_read() -> None:
    """The handler of a read nobody waits for."""


def ignore_loss(detail: str) -> None:
    """The handler of a loss nobody waits for."""


class Link(asyncio.Protocol):
    """Parts what arrives into units and calls `on_unit(command, status, sequence, body)` for each.

    `on_read()` follows the units that arrived together, so that they can be answered in one write. `on_lost(detail)` is
    called once, when nothing can come any more.
    """

    def __init__(self) -> None:
        self.on_unit: OnUnit = ignore_unit
        self.on_read: Callable[[], None] = ignore_read
        self.on_lost: Callable[[str], None] = ignore_loss
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.over = False
        self.early: list[tuple[int, int, int, bytes]] = []
        """Units that came with the answer to the bind, before anybody could look at them."""
        self._detail = "the SMSC closed the connection"
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def write(self, data: bytes) -> None:
        """Send the octets, in order; nothing where the link is over."""
        if self._transport and not self.over:
            self._transport.write(data)

    def abort(self, detail: str) -> None:
        """Drop the connection now; `on_lost` is told the detail. What has arrived is not looked at any more."""
        if not self.over:
            self.over, self._detail = True, detail
        if self._transport:
            self._transport.abort()

    def close(self) -> None:
        """Close in order: what was written leaves first."""
        self.over = True
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (asyncio)."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand every whole unit on (asyncio)."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= HEADER.size and not self.over:
            size, command, status, sequence = HEADER.unpack_from(data, at)
            if not HEADER.size <= size <= PDU_MAX:
                self.abort("what the SMSC sends is not SMPP")
                return
            if end - at < size:
                break
            self.on_unit(command, status, sequence, data[at + HEADER.size : at + size])
            at += size
        self._rest = data[at:]
        self.on_read()

    def connection_lost(self, exc: Exception | None) -> None:
        """End (asyncio)."""
        self.over = True
        if not self.lost.done():
            self.lost.set_result(None)
        self.on_lost(f"the connection broke: {type(exc).__name__}" if exc else self._detail)
