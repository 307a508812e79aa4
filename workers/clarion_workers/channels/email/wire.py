"""One transport that speaks SMTP's lines: bytes out, whole replies in (RFC 5321 §4.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

_REPLY_MAX = 65_536  # octets of one reply, all its lines; real ones have some hundred


def ignore_reply(code: int, text: bytes) -> None:
    """The handler of replies nobody waits for."""


def ignore_loss(detail: str) -> None:
    """The handler of a loss nobody waits for."""


def ignore_drain() -> None:
    """The handler of a drained buffer nobody waits for."""


def shown(code: int, text: bytes) -> str:
    """A reply as one line for people: code, enhanced code, words."""
    return f"{code} {text.decode('utf-8', 'replace')}".replace("\n", " ").rstrip()


class Wire(asyncio.Protocol):
    """Splits what arrives into replies and calls `on_reply(code, text)` for each; LF parts the lines of a text.

    `on_lost(detail)` is called once, when no reply can come any more; `on_drained()` whenever all written bytes
    have left this process after some could not at once.
    """

    def __init__(self) -> None:
        self.on_reply: Callable[[int, bytes], None] = ignore_reply
        self.on_lost: Callable[[str], None] = ignore_loss
        self.on_drained: Callable[[], None] = ignore_drain
        self.clogged = False
        self.over = False
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._detail = "the server closed the connection"
        self._rest = b""
        self._lines: list[bytes] = []
        self._size = 0

    @property
    def midway(self) -> bool:
        """True where a reply has begun and not ended."""
        return bool(self._rest or self._lines)

    @property
    def peer(self) -> str:
        """The address of the other end, or nothing where it has none."""
        name = self.transport.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) else ""

    @property
    def own_address(self) -> str:
        """The address of this end, or nothing where it has none."""
        name = self.transport.get_extra_info("sockname")
        return str(name[0]) if isinstance(name, tuple) else ""

    def attach(self, transport: asyncio.Transport) -> None:
        """Go on over this transport."""
        self.transport = transport
        # Pausing at the first byte that stays behind tells when a final dot has really left.
        transport.set_write_buffer_limits(high=1, low=0)

    def write(self, data: bytes) -> None:
        """Send the bytes, in order."""
        self.transport.write(data)

    def abort(self, detail: str) -> None:
        """Drop the connection now; `on_lost` is told the detail. Replies that arrived are not looked at."""
        if not self.over:
            self.over, self._detail = True, detail
            self.transport.abort()

    def close(self) -> None:
        """Close the connection in order; replies are not looked at any more."""
        self.over = True
        self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (asyncio)."""
        self.attach(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        """Hand every whole reply on (asyncio)."""
        lines = (self._rest + data if self._rest else data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if self.over:
                return
            if not line[:3].isdigit() or line[3:4] not in (b" ", b"-", b"\r", b""):
                self.abort("the server's reply is not SMTP")
                return
            self._line(line)
        if len(self._rest) + self._size > _REPLY_MAX:
            self.abort("the server's reply is too long")

    def connection_lost(self, exc: Exception | None) -> None:
        """End (asyncio)."""
        self.over = True
        if not self.lost.done():
            self.lost.set_result(None)
        self.on_lost(f"the connection broke: {type(exc).__name__}" if exc else self._detail)

    def pause_writing(self) -> None:
        """Some bytes could not leave at once (asyncio)."""
        self.clogged = True

    def resume_writing(self) -> None:
        """All bytes have left (asyncio)."""
        self.clogged = False
        self.on_drained()

    def _line(self, line: bytes) -> None:
        text = line[4:].rstrip()
        if line[3:4] == b"-":
            self._lines.append(text)
            self._size += len(line)
            return
        if self._lines:
            text = b"\n".join((*self._lines, text))
            self._lines, self._size = [], 0
        self.on_reply(int(line[:3]), text)
