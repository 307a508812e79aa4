"""One HTTP/2 connection (RFC 9113) as a client: requests as streams, each of which ends as known, or as unknown.

A request that a server certainly did not act on raises `NotProcessed`: it was not whole when the connection broke, it
was refused (REFUSED_STREAM, §8.7), or it came after the last one that a GOAWAY counts (§6.8).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import cast

from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    PingAckReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import FrameTooLargeError, H2Error
from hpack import HeaderTuple

from clarion_workers.channels.http import ANSWER_MAX, Answer
from clarion_workers.channels.push.goaway import GoAway, split
from clarion_workers.channels.push.h2_client import Client
from clarion_workers.channels.push.stream_body import StreamBody

Headers = Sequence[tuple[str, str] | HeaderTuple]

STREAMS_AT_ONCE = 1_000
"""Requests that a connection takes at once, where the server allows more; for APNs that is the usual number."""

_STREAMS_MAX = 2**30 - 1  # ids are odd and end at 2^31 - 1
_PING = b"clarion\0"


class NotProcessed(ConnectionError):
    """The server certainly did not act on the request."""


class _Stream:
    """A request that is under way. `rest` is what of its body is still to be written."""

    def __init__(self, body: StreamBody, answer: asyncio.Future[Answer]) -> None:
        self.body, self.rest, self.answer = body, body.content, answer
        self.headers: dict[str, str] = {}
        self.content = b""


class Connection(asyncio.Protocol):
    """One connection. `changed` is called whenever it may have more room than before, or none any more."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._h2 = Client()
        self._streams: dict[int, _Stream] = {}
        self._waiting: dict[int, _Stream] = {}  # those with something to write, oldest first
        self._buffer = b""
        self._begun = 0
        self._most: float = 0  # streams at once, as the server says; nothing until it said something
        self._heard_s = self._loop.time()
        self._pong: asyncio.Future[None] | None = None
        self._flushing = self._full = False
        self._end = ""  # why it takes no more requests
        self.ready: asyncio.Future[None] = self._loop.create_future()
        """Done when the server said how many streams it takes; failed when the connection broke before."""
        self.reserved = 0
        """Requests that are about to be made."""

    @property
    def room(self) -> float:
        """How many more requests it takes at once; 0 for ever once it `is_over`."""
        full = self._end or self._full or self._begun >= _STREAMS_MAX
        return 0 if full else self._most - len(self._streams) - self.reserved

    @property
    def is_over(self) -> bool:
        """Whether it takes no more requests, ever."""
        return bool(self._end) or self._begun >= _STREAMS_MAX

    def silent_s(self) -> float:
        """For how long nothing was heard of the server; infinite after a request that got no answer."""
        return self._loop.time() - self._heard_s

    async def request(self, headers: Headers, body: StreamBody) -> Answer:
        """The server's answer. `body.handed` is true while it may have acted on the request.

        Cancelled, the stream is reset. `NotProcessed`, or `ConnectionError` where nobody knows.
        """
        if self._end:
            raise NotProcessed(self._end)
        stream = _Stream(body, self._loop.create_future())
        number = self._begin(headers, stream)
        try:
            return await stream.answer
        except asyncio.CancelledError:
            self._heard_s = -math.inf
            self._reset(number)
            raise

    async def ping(self) -> None:
        """Return when the server answered a PING. `ConnectionError` where the connection broke instead."""
        if self._end:
            raise NotProcessed(self._end)
        if self._pong is None:
            self._pong = self._loop.create_future()
            self._h2.ping(_PING)
            self._flush()
        await asyncio.shield(self._pong)

    def close(self, why: str = "closed") -> None:
        """Take no more requests; those under way end as broken."""
        if not self._end:
            self._h2.close_connection()
            self._flush()
        self._transport.close()
        self._broken(why)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello (asyncio)."""
        self._transport = cast("asyncio.Transport", transport)
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Frames, or parts of some (asyncio)."""
        self._heard_s = self._loop.time()
        frames, self._buffer = split(self._buffer + data)
        try:
            if int.from_bytes(self._buffer[:3]) > self._h2.max_inbound_frame_size:  # it is not waited for
                raise FrameTooLargeError
            for frame in frames:
                if isinstance(frame, GoAway):
                    self._going_away(frame)
                else:
                    for event in self._h2.receive_data(frame):
                        self._on(event)
        except H2Error as error:
            self._flush()  # h2 has made a GOAWAY that says what is wrong
            self._transport.close()
            self._broken(f"protocol error: {type(error).__name__}")
            return
        self._flush()
        self._changed()

    def pause_writing(self) -> None:
        """Enough waits to be written (asyncio)."""
        self._full = True

    def resume_writing(self) -> None:
        """There is room again (asyncio)."""
        self._full = False
        self._changed()

    def connection_lost(self, error: Exception | None) -> None:
        """It is over (asyncio)."""
        self._broken(f"connection lost: {type(error).__name__}" if error else "connection lost")

    # What frames mean.

    def _on(self, event: Event) -> None:
        match event:
            case ResponseReceived(stream_id=number, headers=headers) if stream := self._streams.get(number or 0):
                stream.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers or ()}
            case DataReceived(stream_id=number, data=data, flow_controlled_length=length):
                self._h2.acknowledge_received_data(length or 0, number or 0)
                if stream := self._streams.get(number or 0):
                    stream.content += (data or b"")[: ANSWER_MAX - len(stream.content)]
            case StreamEnded(stream_id=number):
                self._answered(number or 0)
            case StreamReset(stream_id=number, error_code=code):
                refused = code == ErrorCodes.REFUSED_STREAM
                self._ended(number or 0, f"stream reset: {_name(code)}", unknown=not refused)
            case WindowUpdated(stream_id=number) if number:
                if stream := self._waiting.get(number):
                    self._write(number, stream)
            case WindowUpdated():
                self._write_all()
            case RemoteSettingsChanged():
                self._most = min(self._h2.remote_settings.max_concurrent_streams, STREAMS_AT_ONCE)
                self._write_all()
                if not self.ready.done():
                    self.ready.set_result(None)
            case PingAckReceived() if self._pong:
                self._pong.set_result(None)
                self._pong = None

    def _answered(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if self._waiting.pop(number, None):  # it did not want the rest
            self._h2.reset_stream(number, ErrorCodes.NO_ERROR)
        if stream and not stream.answer.done():
            status = int(stream.headers.pop(":status", 0))
            stream.answer.set_result(Answer(status=status, headers=stream.headers, body=stream.content))
        self._close_if_over()

    def _going_away(self, frame: GoAway) -> None:
        self._end = self._end or f"the server is going away: {_name(frame.error_code)} {frame.words}".rstrip()
        for number in [number for number in self._streams if number > frame.last_stream_id]:
            self._ended(number, self._end, unknown=False)
        self._close_if_over()

    def _close_if_over(self) -> None:
        if self._end and not self._streams:
            self._transport.close()

    def _ended(self, number: int, why: str, *, unknown: bool) -> None:
        """A stream ends without an answer; whether anybody knows what became of it."""
        stream = self._streams.pop(number, None)
        whole = self._waiting.pop(number, None) is None
        if stream is None or stream.answer.done():
            return
        stream.body.handed = unknown and whole
        stream.answer.set_exception(ConnectionError(why) if stream.body.handed else NotProcessed(why))

    def _broken(self, why: str) -> None:
        self._end = self._end or why
        for number in list(self._streams):
            self._ended(number, why, unknown=True)
        for waited in (self.ready, self._pong):
            if waited and not waited.done():
                waited.set_exception(NotProcessed(why))
                waited.exception()  # nobody may be waiting
        self._changed()

    # Writing.

    def _begin(self, headers: Headers, stream: _Stream) -> int:
        try:
            number = self._h2.get_next_available_stream_id()
            self._h2.send_headers(number, headers)
        except H2Error as error:  # more than the server takes
            raise NotProcessed(type(error).__name__) from None
        self._begun += 1
        self._streams[number] = self._waiting[number] = stream
        self._write(number, stream)
        return number

    def _write_all(self) -> None:
        for number, stream in list(self._waiting.items()):
            self._write(number, stream)

    def _write(self, number: int, stream: _Stream) -> None:
        """As much of the body as the server's windows let pass."""
        while stream.rest and (window := self._h2.local_flow_control_window(number)) > 0:
            size = min(window, self._h2.max_outbound_frame_size)
            part, stream.rest = stream.rest[:size], stream.rest[size:]
            self._h2.send_data(number, part, end_stream=not stream.rest)
        if not stream.rest:
            stream.body.handed = True
            del self._waiting[number]
        self._flush_soon()

    def _reset(self, number: int) -> None:
        if self._streams.pop(number, None) is None:
            return
        self._waiting.pop(number, None)
        self._h2.reset_stream(number, ErrorCodes.CANCEL)
        self._flush()
        self._close_if_over()
        self._changed()

    def _flush_soon(self) -> None:
        """Requests that are made at once leave in one write."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if (data := self._h2.data_to_send()) and not self._transport.is_closing():
            self._transport.write(data)


def _name(code: ErrorCodes | int | None) -> str:
    return code.name if isinstance(code, ErrorCodes) else str(code)
