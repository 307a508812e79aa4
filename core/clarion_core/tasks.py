"""Ending tasks for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

_CANCEL_AGAIN_S = 0.2


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel until they have ended. What they raise is not raised.

    Once is not enough: in Python 3.11 `wait_for`, which redis-py uses, loses a cancellation that meets the end of
    what it waits for.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        done, pending = await asyncio.wait(pending, timeout=_CANCEL_AGAIN_S)
        for task in done:
            _ = task.cancelled() or task.exception()  # asked for, so that asyncio does not complain of it
