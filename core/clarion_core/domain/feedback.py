"""What is heard of a message after it was sent: facts with times, never states.

Facts come late, twice, and in any order. Of each kind a delivery keeps one: the earliest, and among bounces the
hardest. Whatever the order they come in, the same ones stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from clarion_core.domain.bounce import BOUNCE_TYPES, BounceCategory, BounceType

CODE_MAX = 32
_HARDNESS = {BounceType.NEUTRAL: 0, BounceType.SOFT: 1, BounceType.HARD: 2}


class FactKind(StrEnum):
    """What happened; the value is the letter the store keeps."""

    DELIVERED = "D"  # it reached the recipient's side
    DEFERRED = "W"  # the recipient's side asked the provider to come later
    BOUNCED = "B"  # it came back, or will never arrive
    COMPLAINED = "C"  # the recipient called it spam
    OPENED = "O"
    CLICKED = "K"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that happened to a delivery. `time_ms`: since 1970, by the clock of whoever told it; 0: when it came.

    `provider`: which one told it. `category` is set for BOUNCED alone. `code`: the provider's own word or number for
    it, at most 32 characters without blanks; `detail`: what else it said, at most 200.
    """

    kind: FactKind
    time_ms: int = 0
    provider: str = ""
    category: BounceCategory | None = None
    code: str = ""
    detail: str = ""

    @property
    def bounce_type(self) -> BounceType | None:
        """What it says about the address; None where it is no bounce."""
        return BOUNCE_TYPES[self.category] if self.category else None

    @property
    def hardness(self) -> int:
        """The harder of two bounces is the one that stays."""
        return _HARDNESS[self.bounce_type] if self.bounce_type else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackCounts:
    """How many deliveries of a trigger or a campaign have such a fact. They are no part of the account."""

    delivered: int = 0
    bounced: int = 0
    complained: int = 0

    def __add__(self, other: FeedbackCounts) -> FeedbackCounts:
        return FeedbackCounts(
            delivered=self.delivered + other.delivered,
            bounced=self.bounced + other.bounced,
            complained=self.complained + other.complained,
        )


NO_FEEDBACK = FeedbackCounts()
