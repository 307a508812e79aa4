"""Two endpoints that cost next to nothing, one at once and one after 100 ms. Whether calls are right is not asked."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import cast

import uvloop

AFTER_S = 0.1
_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Endpoint(asyncio.Protocol):
    """HTTP/1.1 with kept connections, for a client that waits for each answer."""

    def __init__(self, after_s: float = 0.0) -> None:
        self._after_s, self._buffer = after_s, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = int(self._buffer[:end].lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            if self._after_s:
                asyncio.get_running_loop().call_later(self._after_s, self._transport.write, _ANSWER)
            else:
                self._transport.write(_ANSWER)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    fast = await loop.create_server(Endpoint, "127.0.0.1", 0, backlog=1_024)
    slow = await loop.create_server(partial(Endpoint, AFTER_S), "127.0.0.1", 0, backlog=1_024)
    ports = {"fast": fast.sockets[0].getsockname()[1], "slow": slow.sockets[0].getsockname()[1]}
    print(json.dumps({"event": "ready", **ports}), flush=True)  # noqa: T201
    await asyncio.gather(fast.serve_forever(), slow.serve_forever())


if __name__ == "__main__":
    uvloop.run(_serve())
