"""A proxy that leads nowhere else: whichever host is asked for, TLS ends here, and the request goes to one server.

So webhooks of the local stack are called by the addresses that recipients have, and none of them leaves this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from clarion_core.urls import read_url
from clarion_stack.authority import Authority

_HEAD_MAX = 16_384
_CHUNK = 65_536


@asynccontextmanager
async def tunnel(authority: Authority, host: str, port: int, behind: int) -> AsyncIterator[int]:
    """Answer CONNECT (RFC 9110 §9.3.6) while inside, for the server at port `behind`; yields the port."""
    open_ones: set[asyncio.StreamWriter] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        try:
            with suppress(OSError, EOFError, asyncio.LimitOverrunError, ValueError):
                await _lead(authority, host, behind, reader, writer)
        finally:
            open_ones.discard(writer)
            writer.close()

    server = await asyncio.start_server(connected, host, port, limit=_HEAD_MAX)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in list(open_ones):
            writer.transport.abort()
        await server.wait_closed()


async def _lead(
    authority: Authority, host: str, behind: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    line = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0].decode("ascii")
    method, _, rest = line.partition(" ")
    if method != "CONNECT":
        writer.write(b"HTTP/1.1 405 Method Not Allowed\r\nAllow: CONNECT\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        return
    wanted = read_url(f"https://{rest.partition(' ')[0]}")
    writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
    await writer.start_tls(authority.context_for(wanted.host))
    there, back = await asyncio.open_connection(host, behind)
    try:
        # Whichever side is done first, the other has nobody to talk to.
        both = [asyncio.create_task(_copy(reader, back)), asyncio.create_task(_copy(there, writer))]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
    finally:
        back.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while octets := await reader.read(_CHUNK):
        writer.write(octets)
        await writer.drain()
