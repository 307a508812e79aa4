"""What follows from an outcome: the end, or another attempt and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from clarion_core.domain.campaign import MIN_BACKOFF_S, AmbiguityPolicy, RetryPolicy
from clarion_core.domain.delivery import DeliveryState, Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure

DETAIL_MAX = 200
SCHEDULE_JITTER = 0.1
"""How far a pause of a schedule may be off, as a share of it."""
PROVIDER_ID_MAX = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """Where a delivery goes after an attempt. `due_ms` is set for RETRYING alone, the provider's id for SENT alone."""

    state: DeliveryState
    reason: Reason = Reason.NONE
    detail: str = ""
    due_ms: int = 0
    ambiguous: bool = False
    provider_id: str = ""
    receipts_by_id: bool = False


def conclude(
    outcome: Outcome,
    *,
    attempts: int,
    policy: RetryPolicy,
    ambiguity: AmbiguityPolicy,
    now_ms: int,
    age_from_ms: int,
    draw: Callable[[], float],
) -> Conclusion:
    """Decide what follows from the outcome of the `attempts`-th attempt (the first is 1).

    `draw` returns an even random number in [0, 1). A definite refusal for now is repeated under both policies
    until the attempts are spent, or the next one would come after the maximum age, counted from `age_from_ms`; an
    ambiguous hand-over is repeated under AT_LEAST_ONCE alone, and ends AMBIGUOUS where it was the last attempt.
    """
    last_ms = age_from_ms + 1000 * policy.max_age_s
    match outcome:
        case Sent(detail=detail, provider_id=provider_id, receipts_by_id=by_id):
            named = clip_id(provider_id)
            return Conclusion(
                state=DeliveryState.SENT, detail=clip(detail), provider_id=named, receipts_by_id=by_id and bool(named)
            )
        case PermanentFailure(reason=reason, detail=detail):
            return Conclusion(state=DeliveryState.FAILED, reason=reason, detail=clip(detail))
        case TransientFailure(reason=Reason.EXPIRED, detail=detail):
            return Conclusion(state=DeliveryState.EXPIRED, reason=Reason.EXPIRED, detail=clip(detail))
        case TransientFailure(reason=reason, detail=detail, retry_after_s=wait_s):
            due_ms = now_ms + round(1000 * max(backoff_s(attempts, policy, draw()), wait_s or 0.0))
            if attempts >= policy.max_attempts or due_ms > last_ms:
                return Conclusion(state=DeliveryState.FAILED, reason=reason, detail=clip(detail))
            return Conclusion(state=DeliveryState.RETRYING, reason=reason, detail=clip(detail), due_ms=due_ms)
        case Ambiguous(detail=detail):
            due_ms = now_ms + round(1000 * backoff_s(attempts, policy, draw()))
            repeats = ambiguity is AmbiguityPolicy.AT_LEAST_ONCE
            again = repeats and attempts < policy.max_attempts and due_ms <= last_ms
            return Conclusion(
                state=DeliveryState.RETRYING if again else DeliveryState.AMBIGUOUS,
                reason=Reason.HANDOVER_UNKNOWN,
                detail=clip(detail),
                due_ms=due_ms if again else 0,
                ambiguous=True,
            )


def backoff_s(attempts: int, policy: RetryPolicy, drawn: float) -> float:
    """The pause after the `attempts`-th attempt, in seconds: the schedule's, or full jitter under a doubling bound.

    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: drawing evenly from the whole interval spreads
    a crowd of retries best. A schedule is a promise, and kept within a tenth. Never below one second, the grain of due
    times.
    """
    if policy.schedule_s:
        pause = policy.schedule_s[min(attempts, len(policy.schedule_s)) - 1]
        return max(float(MIN_BACKOFF_S), (1 + SCHEDULE_JITTER * (2 * drawn - 1)) * pause)
    bound = min(policy.max_backoff_s, policy.initial_backoff_s << min(attempts - 1, 30))
    return max(float(MIN_BACKOFF_S), drawn * bound)


def clip(detail: str) -> str:
    """At most 200 characters on one line, printable: what a provider says is not to be trusted."""
    clipped = detail[:DETAIL_MAX]
    return clipped if clipped.isprintable() else "".join(c if c.isprintable() else " " for c in clipped)


def clip_id(provider_id: str) -> str:
    """A provider's id of a message as it is kept: at most 128 characters, printable, blanks only between ids."""
    return " ".join(clip(provider_id).split())[:PROVIDER_ID_MAX].rstrip()
