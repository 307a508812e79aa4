"""An SMSC that takes everything, counts it and looks at nothing else: the benchmarks' cheap peer.

`python -m support.smpp_sink` prints `{"port": …, "watch": …}` and runs until SIGTERM. At `watch` it answers
`XWAIT n` with `250 count clock` once n messages were taken, as `support.smtp_sink --fast` does: `benchmarks.sink` reads
both.
"""

from __future__ import annotations

import asyncio
import json
import signal
import struct
import sys
import time
from typing import ClassVar, cast

import uvloop

_HEADER = struct.Struct(">IIII")
_SUBMIT, _BIND, _UNBIND, _ENQUIRE = 0x04, 0x09, 0x06, 0x15
_RESPONSE = 0x80000000


class Tally:
    """How many messages were taken, and who waits for how many."""

    count = 0
    clock = 0.0
    waiting: ClassVar[list[tuple[int, asyncio.Transport]]] = []

    @classmethod
    def taken(cls, more: int) -> None:
        cls.count += more
        if cls.waiting:
            cls.clock = time.monotonic()
            cls.answer()

    @classmethod
    def answer(cls) -> None:
        for entry in [entry for entry in cls.waiting if entry[0] <= cls.count]:
            cls.waiting.remove(entry)
            entry[1].write(f"250 {cls.count} {cls.clock}\r\n".encode())


class Smsc(asyncio.Protocol):
    """Answers every unit at once. Ids are the numbers of the messages."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._rest = cast("asyncio.Transport", transport), b""

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        answers, at, taken = [], 0, 0
        while len(data) - at >= _HEADER.size:
            size, command, _, sequence = _HEADER.unpack_from(data, at)
            if len(data) - at < size:
                break
            at += size
            body = b""
            if command == _SUBMIT:
                taken += 1
                body = b"%d\0" % (Tally.count + taken)
            elif command == _BIND:
                body = b"sink\0"
            elif command not in (_UNBIND, _ENQUIRE):
                continue
            answers.append(_HEADER.pack(_HEADER.size + len(body), command | _RESPONSE, 0, sequence) + body)
        self._rest = data[at:]
        if answers:
            self._transport.write(b"".join(answers))
        if taken:
            Tally.taken(taken)


class Watch(asyncio.Protocol):
    """Lines: `XWAIT n` and `NOOP`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._rest = cast("asyncio.Transport", transport), b""
        self._transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        for line in lines:
            if line.startswith(b"XWAIT "):
                Tally.waiting.append((int(line[6:]), self._transport))
                Tally.answer()
            else:
                self._transport.write(b"250 ok\r\n")


async def _run() -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    servers = [await loop.create_server(protocol, "127.0.0.1", 0) for protocol in (Smsc, Watch)]
    port, watch = (server.sockets[0].getsockname()[1] for server in servers)
    print(json.dumps({"port": port, "watch": watch}), flush=True)  # noqa: T201
    await stop.wait()


if __name__ == "__main__":
    sys.exit(uvloop.run(_run()))
