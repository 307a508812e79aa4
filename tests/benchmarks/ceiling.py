"""What the sink can take: real messages, made before, sent blindly over a few connections."""

from __future__ import annotations

import asyncio
import time

from benchmarks import orders
from benchmarks.bare import messages_of
from benchmarks.plan import Plan
from benchmarks.rows import Row
from benchmarks.sink import watch
from benchmarks.stand import sink
from clarion_workers.channels.email.message import BuiltEmail
from clarion_workers.channels.email.mime import MimeBuilder
from clarion_workers.channels.email.session import stuffed

CONNECTIONS = 4
_PATIENCE_S = 60.0


async def measure(plan: Plan) -> list[Row]:
    """Messages a second at the sink."""
    blob, size = await _prepared()
    rounds = plan.ceiling // (orders.A_CALL * CONNECTIONS)
    count = rounds * orders.A_CALL * CONNECTIONS
    with sink(plan.directory) as mail:
        port = mail.said["port"]
        async with watch(port) as sinks:
            await sinks.expect(count)
            started = time.monotonic()
            await asyncio.gather(*(_pour(port, blob, rounds) for _ in range(CONNECTIONS)))
            took = await sinks.last(_PATIENCE_S) - started
    return [Row(id="sink_ceiling", value=count / took, unit="msg/s", note=f"{size:,} bytes a message")]


async def _prepared() -> tuple[bytes, int]:
    """A hundred messages with their envelopes, and the average size of one."""
    builder = MimeBuilder("example.com")
    parts = []
    for message in messages_of(orders.A_CALL):
        built = builder.build(message)
        assert isinstance(built, BuiltEmail)
        envelope = f"MAIL FROM:<{built.mail_from}>\r\nRCPT TO:<{built.rcpt_to}>\r\nDATA\r\n"
        parts += [envelope.encode(), stuffed(built.content), b".\r\n"]
    blob = b"".join(parts)
    return blob, len(blob) // orders.A_CALL


async def _pour(port: int, blob: bytes, rounds: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    replies = asyncio.create_task(_discard(reader))
    try:
        for _ in range(rounds):
            writer.write(blob)
            await writer.drain()
        writer.write(b"QUIT\r\n")
        await writer.drain()
        writer.write_eof()
        await replies
    finally:
        replies.cancel()
        writer.close()
        await writer.wait_closed()


async def _discard(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 18):
        continue
