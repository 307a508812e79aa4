"""The circuit breaker of a provider: when it is left alone, and what speaks for and against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from clarion_core.domain.delivery import Reason
from clarion_core.domain.error_class import ERROR_CLASSES, ErrorClass
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure


class BreakerState(StrEnum):
    """Where a breaker stands."""

    CLOSED = "C"  # the provider is used
    OPEN = "O"  # it is left alone until its pause is over
    HALF_OPEN = "H"  # the pause is over: one message probes it, all others wait


# Drawn in ARCHITECTURE.md, "A provider's breaker"; the store's function makes these moves.
TRANSITIONS: Mapping[BreakerState, frozenset[BreakerState]] = {
    BreakerState.CLOSED: frozenset({BreakerState.OPEN}),  # too many failures
    BreakerState.OPEN: frozenset({BreakerState.HALF_OPEN}),  # the pause is over
    BreakerState.HALF_OPEN: frozenset({BreakerState.CLOSED, BreakerState.OPEN}),  # the probe's result
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a breaker opens, and for how long. Times are milliseconds.

    It opens where, of at least `judged` hand-overs in the last `window_ms`, a `share` or more failed; or after
    `in_a_row` failures without a success between, however long they took. The first pause is `pause_ms`; a pause that
    follows another within `pause_max_ms` is twice as long, up to that. A probe that is not heard of for `probe_ms` is
    taken for dead: the next message probes. Whoever finds a probe under way asks again after `look_ms` at most.
    `half_life_ms` is how fast the health score forgets.
    """

    window_ms: int = 10_000
    judged: int = 5
    share: float = 0.5
    in_a_row: int = 5
    pause_ms: int = 1_000
    pause_max_ms: int = 30_000
    probe_ms: int = 10_000
    look_ms: int = 1_000
    half_life_ms: int = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The right to probe a provider with one message. `opening` counts the openings of its breaker."""

    id: str
    opening: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a provider. Where it is not CLOSED, `until_ms` is when to ask again, by the store's clock, and
    `wait_ms` how long that was to go when it answered.

    `health` is the share of hand-overs that it did well, the recent ones counting most; 1 where nothing is known.
    `probe` is set where it was granted to whoever asked; `moved` where the report answered here opened or closed it.
    """

    state: BreakerState
    until_ms: int = 0
    wait_ms: int = 0
    health: float = 1.0
    probe: Probe | None = None
    moved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How many hand-overs spoke for a provider, and how many against it."""

    well: int = 0
    badly: int = 0

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(well=self.well + other.well, badly=self.badly + other.badly)


WELL, BADLY, NOTHING = Verdict(well=1), Verdict(badly=1), Verdict()


def verdict(outcome: Outcome) -> Verdict:
    """What an outcome, as reported by the channel, says of the provider.

    A provider that refuses a recipient or a message does its work. Only errors of its own count against it, and a
    hand-over that it left without an answer itself: whatever became of that message, a provider that does so to every
    message must not get more of them. That it lacks what one message needs, that we could not build one, or that a
    recipient's own server was silent, says nothing.
    """
    match outcome:
        case Sent():
            return WELL
        case Ambiguous(silent=silent):
            return BADLY if silent is ErrorClass.PROVIDER else NOTHING
        case TransientFailure(reason=reason) | PermanentFailure(reason=reason):
            if reason is Reason.PROVIDER_UNSUPPORTED:
                return NOTHING
            match ERROR_CLASSES[reason]:
                case ErrorClass.PROVIDER:
                    return BADLY
                case ErrorClass.RECIPIENT | ErrorClass.CONTENT:
                    return WELL
                case _:
                    return NOTHING
