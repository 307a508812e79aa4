"""An HTTP/2 server on loopback that can be told to misbehave, frame by frame. It speaks through h2."""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Self, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, SettingsAcknowledged, StreamEnded, StreamReset
from h2.exceptions import ProtocolError, StreamClosedError
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

Pairs = Sequence[tuple[str, str]]


class H2Server(ABC):
    """`windows`: bytes that a stream may send before it is allowed more, and `streams` at once, as SETTINGS say."""

    def __init__(self, tls: ssl.SSLContext, *, window: int = 65_535, streams: int = 100) -> None:
        tls.set_alpn_protocols(["h2"])
        self.tls, self.window, self.streams = tls, window, streams
        self.connections: list[H2Peer] = []
        self.opened = 0
        self.changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: H2Peer(self), "127.0.0.1", 0, ssl=self.tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in list(self.connections):
            connection.transport.abort()
        self._server.close()
        await self._server.wait_closed()

    @abstractmethod
    def begun(self, peer: H2Peer, number: int, headers: Pairs) -> None:
        """A request's headers have come."""

    @abstractmethod
    def whole(self, peer: H2Peer, number: int, headers: Pairs, body: bytes) -> None:
        """A request has come whole."""

    def note(self) -> None:
        """Wake whoever waits for something to have happened."""
        asyncio.get_running_loop().create_task(self._note())

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        """Return once this holds."""
        async with self.changed:
            await self.changed.wait_for(holds)

    async def _note(self) -> None:
        async with self.changed:
            self.changed.notify_all()


class H2Peer(asyncio.Protocol):
    """One connection of such a server."""

    def __init__(self, server: H2Server) -> None:
        self.server = server
        self.h2 = H2Connection(config=H2Configuration(client_side=False, header_encoding="utf-8"))
        self.requests: dict[int, tuple[Pairs, bytearray]] = {}
        self.reset: list[int] = []
        """The streams that the client called off."""
        self.acknowledged = 0
        """How many of our SETTINGS the client has taken in."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.server.connections.append(self)
        self.server.opened += 1
        self.h2.initiate_connection()
        self.settings(self.server.streams)
        self.server.note()

    def settings(self, streams: int) -> None:
        """Say how many streams there may be, and their first window."""
        self.h2.update_settings(
            {SettingCodes.MAX_CONCURRENT_STREAMS: streams, SettingCodes.INITIAL_WINDOW_SIZE: self.server.window}
        )
        self.flush()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self.h2.receive_data(data):
                self._on(event)
        except ProtocolError:  # the client broke the protocol
            self.flush()
            self.transport.close()
            return
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        self.server.connections.remove(self)
        self.server.note()

    def answer(self, number: int, headers: Pairs, body: bytes = b"") -> None:
        """Answer a request; nothing where its stream is over."""
        try:
            self.h2.send_headers(number, headers, end_stream=not body)
            if body:
                self.h2.send_data(number, body, end_stream=True)
        except StreamClosedError:
            return
        self.flush()

    def allow(self, number: int, count: int = 65_535) -> None:
        """Let a stream send so many bytes more."""
        self.h2.increment_flow_control_window(count, number)
        self.flush()

    def refuse(self, number: int, code: ErrorCodes) -> None:
        """Reset a stream."""
        self.h2.reset_stream(number, code)
        self.flush()

    def go_away(self, last: int, code: ErrorCodes = ErrorCodes.NO_ERROR, words: bytes = b"") -> None:
        """Send a GOAWAY; what it counts can still be answered (h2 would take it for the end)."""
        frame = GoAwayFrame(last_stream_id=last, error_code=code, additional_data=words)
        self.flush()
        self.transport.write(frame.serialize())

    def flush(self) -> None:
        if (data := self.h2.data_to_send()) and not self.transport.is_closing():
            self.transport.write(data)

    def _on(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=number, headers=headers):
                pairs = cast("Pairs", headers)
                self.requests[number or 0] = (pairs, bytearray())
                self.server.begun(self, number or 0, pairs)
            case DataReceived(stream_id=number, data=data, flow_controlled_length=length):
                self.requests[number or 0][1].extend(data or b"")
                self.h2.acknowledge_received_data(length or 0, number or 0)
            case StreamEnded(stream_id=number):
                pairs, body = self.requests[number or 0]
                self.server.whole(self, number or 0, pairs, bytes(body))
            case SettingsAcknowledged():
                self.acknowledged += 1
                self.server.note()
            case StreamReset(stream_id=number):
                self.reset.append(number or 0)
                self.server.note()
