"""The trigger: one request to run a campaign, and the account of its deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from clarion_core.domain.errors import FieldProblem
from clarion_core.domain.feedback import NO_FEEDBACK, Fact, FeedbackCounts

MAX_RECIPIENTS, MAX_DEVICES = 1_000, 20
MAX_DELIVERIES = MAX_RECIPIENTS * (MAX_DEVICES + 3)  # the devices, and the other channels


class TriggerState(StrEnum):
    """Where a trigger stands; the value is the letter the store keeps. It is PAUSED also while its campaign is."""

    RUNNING = "R"
    PAUSED = "P"
    CANCELLING = "X"  # called off, and deliveries are still being handed over; shown as RUNNING
    COMPLETED = "D"
    CANCELLED = "C"

    @property
    def is_final(self) -> bool:
        """True where every recipient is accounted for."""
        return self in (TriggerState.COMPLETED, TriggerState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The account of a trigger or a campaign."""

    accepted: int = 0
    in_flight: int = 0
    sent: int = 0
    failed: int = 0
    suppressed: int = 0
    expired: int = 0
    cancelled: int = 0
    ambiguous: int = 0

    @property
    def balance(self) -> int:
        """Zero while the accounting law holds: accepted minus everything that is accounted for or in flight."""
        settled = self.sent + self.failed + self.suppressed + self.expired + self.cancelled + self.ambiguous
        return self.accepted - self.in_flight - settled

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A recipient that was not accepted: its position in the request, and why."""

    index: int
    user_id: str
    problems: tuple[FieldProblem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A stored trigger."""

    id: str
    workspace: str
    campaign_id: str
    revision: int
    state: TriggerState
    counts: Counts
    create_ms: int
    finish_ms: int = 0
    expire_ms: int = 0  # 0: never
    ordering_key: str = ""
    refusals: tuple[Refusal, ...] = ()
    feedback: FeedbackCounts = NO_FEEDBACK

    @property
    def name(self) -> str:
        """The resource name."""
        return trigger_name(self.campaign_id, self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """`count` numbers from `start` on under `base`."""

    base: str
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a trigger's deliveries are: a slice for each medium."""

    slices: tuple[Slice, ...]

    @property
    def count(self) -> int:
        """How many deliveries there are."""
        return sum(each.count for each in self.slices)

    @property
    def base(self) -> str:
        """Where the first of them are."""
        return self.slices[0].base

    def position(self, delivery_id: str) -> int | None:
        """Which of the trigger's deliveries this is, from 0; None where it is none of them."""
        base, _, number = delivery_id.partition("-")
        before = 0
        for each in self.slices:
            index = int(number) - each.start if base == each.base else -1
            if 0 <= index < each.count:
                return before + index
            before += each.count
        return None

    def cut(self, skip: int, limit: int) -> list[Slice]:
        """Where up to `limit` deliveries are, behind the first `skip`."""
        found = []
        for each in self.slices:
            count = min(each.count - skip, limit)
            if count > 0:
                found.append(Slice(base=each.base, start=each.start + skip, count=count))
                limit -= count
            skip = max(0, skip - each.count)
        return found

    def __str__(self) -> str:
        return " ".join(f"{each.base}:{each.start}:{each.count}" for each in self.slices)

    @classmethod
    def parse(cls, text: str) -> Placement:
        """Read what `str` wrote."""
        parts = [part.split(":") for part in text.split(" ")]
        return cls(tuple(Slice(base=base, start=int(start), count=int(count)) for base, start, count in parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryMove:
    """One delivery's move, or a fact that was learned of it where it stands, as the event stream tells it."""

    delivery: str
    state: str
    attempts: int
    reason: str
    provider: str
    fact: Fact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerEvent:
    """A group of moves of one trigger's deliveries, with the account after it; `id` is its place in the stream."""

    id: str
    trigger: str
    state: TriggerState
    time_ms: int
    counts: Counts
    moves: tuple[DeliveryMove, ...]
    feedback: FeedbackCounts = NO_FEEDBACK


def trigger_name(campaign_id: str, trigger_id: str) -> str:
    """`campaigns/{campaign}/triggers/{trigger}`."""
    return f"campaigns/{campaign_id}/triggers/{trigger_id}"


def duplicate_user_ids(user_ids: list[str]) -> Mapping[int, int]:
    """Positions whose user id stood before, with the position it stood at first."""
    first: dict[str, int] = {}
    repeated = {}
    for index, user_id in enumerate(user_ids):
        if user_id in first:
            repeated[index] = first[user_id]
        else:
            first[user_id] = index
    return repeated
