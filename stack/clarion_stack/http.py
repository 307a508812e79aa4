"""An HTTP server on loopback for a catcher."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

LONGEST_BODY = 16 * 1024 * 1024


def application() -> web.Application:
    """An application that takes bodies as large as Clarion sends."""
    return web.Application(client_max_size=LONGEST_BODY)


@asynccontextmanager
async def served(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve it while inside; yields the port, a free one for 0."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
