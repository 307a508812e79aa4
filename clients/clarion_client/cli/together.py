"""Several tasks at one kind of work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def together(count: int, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work in `count` tasks. The first error ends the others and is raised as it is, not in a group."""
    tasks = [asyncio.ensure_future(work()) for _ in range(count)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
