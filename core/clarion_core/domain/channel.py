"""The channel configuration: which providers a channel has, in what order or measure, and how fast it may go."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Routing(StrEnum):
    """How a channel chooses among the providers that work."""

    ORDER = "order"  # the first one
    WEIGHT = "weight"  # at random, in proportion to their weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """An upper bound: `rate_per_s` messages a second on average, `burst` at once after a pause."""

    rate_per_s: float
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDefaults:
    """How failed attempts on a channel are repeated, where the campaign does not say. Times are seconds.

    `max_age_s`: no attempt later than this after acceptance.
    """

    max_attempts: int = 8
    initial_backoff_s: int = 30
    max_backoff_s: int = 3_600
    max_age_s: int = 302_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A service behind a channel, as the channel configuration names it; the name is unique in its channel."""

    name: str
    weight: int = 1
    throttle: Throttle | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelConfiguration:
    """What is told of a channel. `providers` has one at least; their order counts where `routing` is ORDER."""

    channel: str
    providers: tuple[Provider, ...]
    routing: Routing = Routing.ORDER
    throttle: Throttle | None = None
    retry: RetryDefaults = RetryDefaults()
