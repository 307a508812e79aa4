"""An SMTP server that counts messages, offers PIPELINING and looks at nothing else: the benchmarks' cheap peer."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar, cast


class FastSink(asyncio.Protocol):
    """Counts messages and looks at nothing else. Commands must come whole; PIPELINING is offered."""

    count = 0
    clock = 0.0
    waiting: ClassVar[list[tuple[int, asyncio.Transport]]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport, self._rest, self._in_data = cast("asyncio.Transport", transport), b"", False
        self._transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        replies, at = [], 0
        while (end := data.find(b"\r\n.\r\n" if self._in_data else b"\r\n", at)) >= 0:
            if self._in_data:
                at, self._in_data = end + 5, False
                self._taken()
                replies.append(b"250 2.0.0 taken\r\n")
            else:
                replies.append(self._command(data[at:end]))
                at = end + 2
        self._rest = data[at:]
        if replies:
            self._transport.write(b"".join(replies))

    def _command(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb in (b"MAIL", b"RCPT", b"RSET", b"NOOP"):
            return b"250 ok\r\n"
        if verb == b"DATA":
            self._in_data = True
            return b"354 go\r\n"
        if verb == b"EHLO":
            return b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
        if verb == b"XWAI":
            self.waiting.append((int(line[6:]), self._transport))
            self._answer()
            return b""
        return b"221 bye\r\n" if verb == b"QUIT" else b"500 unknown\r\n"

    def _taken(self) -> None:
        FastSink.count += 1
        if self.waiting:
            FastSink.clock = time.monotonic()
            self._answer()

    def _answer(self) -> None:
        for entry in [entry for entry in self.waiting if entry[0] <= FastSink.count]:
            self.waiting.remove(entry)
            entry[1].write(f"250 {FastSink.count} {FastSink.clock}\r\n".encode())
