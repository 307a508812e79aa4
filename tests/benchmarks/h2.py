"""A load generator for unary gRPC calls: HTTP/2 frames and nothing else, so that it costs less than any server.

A gRPC client in Python takes about as much CPU a call as the server, and would measure itself. This one writes
prepared frames (RFC 9113) and reads just enough of the answers: a call is good if a message came before its stream
ended in order; a call that fails has trailers only.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import cast

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_MAX_CONCURRENT_STREAMS, _CANCEL = 3, 8
_WINDOW = 65_535  # RFC 9113 §6.9.2, until the peer says otherwise
_OURS = 1 << 30
_FRAME_MAX = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What came of a load: calls answered with a message, calls that were not, and how long all of it took."""

    calls: int
    failures: int
    seconds: float

    @property
    def rate(self) -> float:
        """Good calls a second."""
        return self.calls / self.seconds


async def load(
    target: str, method: str, messages: Sequence[bytes], *, seconds: float, connections: int = 4, streams: int = 32
) -> Loaded:
    """Call for so long with `streams` calls in flight on each connection; ends when the last one is answered."""
    host, _, port = target.rpartition(":")
    loop = asyncio.get_running_loop()
    endless = cycle([framed(message) for message in messages])
    started = time.perf_counter()
    made = [
        await loop.create_connection(
            lambda: Connection(method, target, endless, streams, started + seconds), host, int(port)
        )
        for _ in range(connections)
    ]
    try:
        async with asyncio.timeout(seconds + 30):
            await asyncio.gather(*(protocol.done for _, protocol in made))
        took = time.perf_counter() - started
    finally:
        for transport, _ in made:
            transport.close()
    return Loaded(
        calls=sum(protocol.good for _, protocol in made),
        failures=sum(protocol.bad for _, protocol in made),
        seconds=took,
    )


class Connection(asyncio.Protocol):
    """One connection of a load: keeps `streams` calls in flight until a time, or as many as the server allows."""

    def __init__(
        self,
        method: str,
        authority: str,
        messages: Iterator[bytes],
        streams: int,
        until: float,
        metadata: Mapping[bytes, str] = {},
    ) -> None:
        self.good = self.bad = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._messages, self._streams, self._until = messages, streams, until
        self._first_block, self._block = _header_blocks(method, authority, metadata)
        self._waiting: dict[int, bool] = {}  # streams in flight, and whether their message came
        self._stream, self._window, self._unread = 1, _WINDOW, 0
        self._next: bytes | None = None  # the message of the next call
        self._paused = False  # the socket takes no more
        self._rest = b""

    @property
    def in_flight(self) -> int:
        """Calls that are not over."""
        return len(self._waiting)

    def may_begin(self) -> bool:
        """Whether one more call is to be made now."""
        return time.perf_counter() < self._until

    def began(self, stream: int) -> None:
        """A call was made."""

    def ended(self, stream: int, answered: bool) -> None:
        """A call is over."""
        if answered:
            self.good += 1
        else:
            self.bad += 1

    def cancel(self, stream: int) -> None:
        """Take a call back: it is neither good nor bad."""
        del self._waiting[stream]
        self._transport.write(_frame(_RST_STREAM, 0, stream, struct.pack(">I", _CANCEL)))

    def pump(self) -> None:
        """Make the calls that may be made now."""
        if frames := self._calls():
            self._transport.write(frames)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.pump()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        settings = struct.pack(">HI", 4, (1 << 31) - 1)  # INITIAL_WINDOW_SIZE
        room = struct.pack(">I", _OURS - _WINDOW)
        self._transport.write(
            _PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, room) + self._calls()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.bad += len(self._waiting)
            self._waiting.clear()
            self._paused = True
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        at, answers = 0, []
        while len(data) - at >= 9:
            end = at + 9 + int.from_bytes(data[at : at + 3], "big")
            if end > len(data):
                break
            stream = int.from_bytes(data[at + 5 : at + 9], "big") & 0x7FFFFFFF
            if answer := self._on_frame(data[at + 3], data[at + 4], stream, data[at + 9 : end]):
                answers.append(answer)
            at = end
        self._rest = data[at:]
        answers.append(self._calls())
        self._transport.write(b"".join(answers))
        if not self._waiting and time.perf_counter() >= self._until and not self.done.done():
            self.done.set_result(None)

    def _on_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        if kind == _DATA:
            if stream in self._waiting:
                self._waiting[stream] = True
            return self._read(len(payload))
        if stream in self._waiting and (kind == _RST_STREAM or (kind == _HEADERS and flags & _END_STREAM)):
            self.ended(stream, self._waiting.pop(stream))
        elif kind == _SETTINGS and not flags & _ACK:
            self._read_settings(payload)
            return _frame(_SETTINGS, _ACK, 0)
        elif kind == _PING and not flags & _ACK:
            return _frame(_PING, _ACK, 0, payload)
        elif kind == _WINDOW_UPDATE and not stream:
            self._window += int.from_bytes(payload, "big")
        elif kind == _GOAWAY:
            self._transport.close()
        return b""

    def _read(self, size: int) -> bytes:
        self._unread += size
        if self._unread < _OURS // 2:
            return b""
        unread, self._unread = self._unread, 0
        return _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", unread))

    def _read_settings(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", payload):
            if name == _MAX_CONCURRENT_STREAMS:
                self._streams = min(self._streams, value)

    def _calls(self) -> bytes:
        """The frames of as many new calls as there may be."""
        frames = []
        while len(self._waiting) < self._streams and not self._paused:
            message = self._next = self._next or next(self._messages)
            if len(message) > self._window or not self.may_begin():
                break
            block = self._first_block if self._stream == 1 else self._block
            frames += [_frame(_HEADERS, _END_HEADERS, self._stream, block)]
            frames += [_frame(_DATA, _END_STREAM, self._stream, message)]
            self._waiting[self._stream] = False
            self.began(self._stream)
            self._stream += 2
            self._window -= len(message)
            self._next = None
        return b"".join(frames)


def framed(message: bytes) -> bytes:
    """The message as gRPC writes it; it must fit into one frame."""
    framed = struct.pack(">BI", 0, len(message)) + message
    if len(framed) > _FRAME_MAX:
        raise ValueError(f"a message of {len(message)} bytes is more than this client sends")
    return framed


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def _header_blocks(method: str, authority: str, metadata: Mapping[bytes, str]) -> tuple[bytes, bytes]:
    """The request's fields for HPACK (RFC 7541): the first time to be remembered, and from then on by number."""

    def remembered(name: bytes, value: str) -> bytes:
        return name + bytes((len(value),)) + value.encode()

    fixed = b"\x83\x86"  # :method POST, :scheme http
    fields = [
        remembered(b"\x44", method),  # :path is 4 in the static table, :authority 1, content-type 31
        remembered(b"\x41", authority),
        remembered(b"\x5f", "application/grpc"),
        remembered(b"\x40\x02te", "trailers"),
        *(remembered(b"\x40" + bytes((len(name),)) + name, value) for name, value in metadata.items()),
    ]
    # The dynamic table counts from 62, the last one remembered first.
    numbers = bytes(0x80 | 62 + age for age in reversed(range(len(fields))))
    return fixed + b"".join(fields), fixed + numbers
