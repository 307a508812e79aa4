"""When a call is repeated, and after which pause.

Repeated is only what is safe: every method of the client reads, or carries a request id that stays the same from try
to try. UNAVAILABLE is repeated (AIP-194); RESOURCE_EXHAUSTED only where the server says when and the caller asked
for it, because waiting for room is the application's decision.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from clarion_client.errors import ClarionError, ResourceExhausted, Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """How calls are repeated. The call's own time limit bounds all tries and pauses together."""

    max_attempts: int = 10
    """Tries at most, the first included; 1 turns repeating off."""
    initial_backoff_s: float = 0.1
    """The bound of the first pause. It doubles from try to try; a pause is drawn evenly below it (full jitter)."""
    max_backoff_s: float = 2.0
    """No bound grows above this."""
    retry_exhausted: bool = False
    """Also wait for room: repeat RESOURCE_EXHAUSTED after the time that the server names."""
    watch_silence_s: float = 45.0
    """A watch's stream counts as broken after so long without an answer: three heartbeats of the contract."""
    watch_patience_s: float = 60.0
    """How long a watch that lost its stream tries to get it back before it gives up."""


def is_repeatable(error: ClarionError, config: RetryConfig) -> bool:
    """Whether a call that ended so may be made again."""
    match error:
        case Unavailable():
            return True
        case ResourceExhausted(retry_after_s=float()):
            return config.retry_exhausted
    return False


def pause_s(error: ClarionError, attempt: int, config: RetryConfig) -> float:
    """Seconds to wait after the try of this number (from 1): a random share of the bound, on top of what the server
    asked for, so that callers who were sent away together do not come back together.
    """
    bound = min(config.max_backoff_s, config.initial_backoff_s * 2.0 ** min(attempt - 1, 32))
    return (error.retry_after_s or 0.0) + random.uniform(0.0, bound)
