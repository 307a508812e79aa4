"""The channel configuration: which providers a channel has, in what order or measure, and how fast it may go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from clarion_core.domain.campaign import RetryPolicy, Throttle
from clarion_core.domain.suppression import SOFT_BOUNCES


class Routing(StrEnum):
    """How a channel chooses among the providers that work."""

    ORDER = "order"  # the first one
    WEIGHT = "weight"  # at random, in proportion to their weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A service behind a channel, as the channel configuration names it; the name is unique in its channel."""

    name: str
    weight: int = 1
    throttle: Throttle | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """Addresses of the sender's own that get a copy of each revision, and the profile it is rendered with."""

    addresses: tuple[str, ...]
    profile: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelConfiguration:
    """What is told of a channel. `providers` has one at least; their order counts where `routing` is ORDER.

    `scope` is what providers and limits are known under together with their names: empty for a worker's own. `retry`
    bounds what campaigns ask for: no more attempts, no longer pauses, no greater age. `soft_bounces`: how many suppress
    an address. `pass_over_complaints`: campaigns that are not MARKETING send in spite of a complaint.
    """

    channel: str
    providers: tuple[Provider, ...]
    scope: str = ""
    routing: Routing = Routing.ORDER
    throttle: Throttle | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    soft_bounces: int = SOFT_BOUNCES
    pass_over_complaints: bool = False
    seeds: Seeds | None = None  # of e-mail alone
