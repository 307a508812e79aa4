"""Waiting for the store at start, and saying so."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from clarion_core import logs
from clarion_core.domain.errors import StoreUnavailable

RETRY_S = 0.5
SAY_AGAIN_S = 30.0
_AnswerT = TypeVar("_AnswerT")

log = logs.get(__name__)


async def until_there(
    greet: Callable[[], Awaitable[_AnswerT]], address: str, say_again_s: float = SAY_AGAIN_S
) -> _AnswerT:
    """What `greet` answers once the store is there.

    While it is not, `store_away` says where it should be and why it does not answer: at first, and every `say_again_s`
    seconds. `address` is one without a password.
    """
    clock = asyncio.get_running_loop().time
    said = -math.inf
    while True:
        try:
            return await greet()
        except StoreUnavailable as error:
            if clock() - said >= say_again_s:
                said = clock()
                log.warning("store_away", address=address, reason=reason(error), waiting=True)
            await asyncio.sleep(RETRY_S)


def reason(away: StoreUnavailable) -> str:
    """Why the store does not answer: `refused`, or the class of the error, the system's where there is one."""
    error: BaseException | None = away.__cause__
    name = type(error or away).__name__
    while error is not None:
        if isinstance(error, OSError):
            name = "refused" if isinstance(error, ConnectionRefusedError) else type(error).__name__
        error = error.__cause__ or error.__context__
    return name
