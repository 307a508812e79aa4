"""Push services that cost next to nothing: whatever comes is taken, and nothing is read but where a request ends.

FCM over plain HTTP, APNs over HTTP/2 with TLS. Whether requests are right is for the tests to say.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import cast

import trustme
import uvloop

_NAME = b'{"name": "projects/shop/messages/0:1500415314455276%31bd1c9631bd1c96"}'
_TOKEN = b'{"access_token": "ya29.bench", "expires_in": 3600, "token_type": "Bearer"}'
_SETTINGS, _WINDOW_UPDATE, _HEADERS, _DATA, _PING = 4, 8, 1, 0, 6
_ALLOWED = 2**31 - 1 - 65_535
_PREFACE = 24


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Http(asyncio.Protocol):
    """HTTP/1.1 with kept connections."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._buffer = cast("asyncio.Transport", transport), b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._transport.write(_TOKEN_ANSWER if head.startswith(b"post /token") else _NAME_ANSWER)


_NAME_ANSWER, _TOKEN_ANSWER = _answer(_NAME), _answer(_TOKEN)


class Http2(asyncio.Protocol):
    """HTTP/2: 1,000 streams, and windows that are never empty. 200 is one octet in HPACK."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._buffer, self._skip = cast("asyncio.Transport", transport), b"", _PREFACE
        settings = (3).to_bytes(2) + (1_000).to_bytes(4) + (4).to_bytes(2) + (1 << 20).to_bytes(4)
        allowed = _ALLOWED.to_bytes(4)
        self._transport.write(_frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, allowed))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._skip:
            if len(self._buffer) < self._skip:
                return
            self._buffer, self._skip = self._buffer[self._skip :], 0
        answers, at, buffer = [], 0, self._buffer
        while at + 9 <= len(buffer) and at + 9 + (length := int.from_bytes(buffer[at : at + 3])) <= len(buffer):
            kind, flags, number = buffer[at + 3], buffer[at + 4], int.from_bytes(buffer[at + 5 : at + 9])
            if kind == _SETTINGS and not flags & 1:
                answers.append(_frame(_SETTINGS, 1, 0, b""))
            elif kind == _PING and not flags & 1:
                answers.append(_frame(_PING, 1, 0, buffer[at + 9 : at + 17]))
            elif kind in (_HEADERS, _DATA) and flags & 1:
                answers.append(_frame(_HEADERS, 5, number, b"\x88"))
            at += 9 + length
        self._buffer = buffer[at:]
        self._transport.write(b"".join(answers))


def _frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + number.to_bytes(4) + payload


async def _serve() -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    tls.set_alpn_protocols(["h2"])
    loop = asyncio.get_running_loop()
    http = await loop.create_server(Http, "127.0.0.1", 0)
    http2 = await loop.create_server(Http2, "127.0.0.1", 0, ssl=tls)
    ports = {"http": http.sockets[0].getsockname()[1], "http2": http2.sockets[0].getsockname()[1]}
    print(json.dumps({"event": "ready", **ports, "ca": authority.cert_pem.bytes().decode()}), flush=True)  # noqa: T201
    await asyncio.gather(http.serve_forever(), http2.serve_forever())


if __name__ == "__main__":
    uvloop.run(_serve())
