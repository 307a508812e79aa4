"""The points at which a process can be killed: the steps of a delivery, and the moments of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """What a process is about. All but HAND_OVER are commands to the store."""

    ACCEPT = "accept"  # the server makes triggers true
    CLAIM = "claim"
    RENDER = "render"  # from the claim's answer to the first window
    OPEN = "open"  # a batch's first window
    HAND_OVER = "hand over"
    RECORD = "record"  # outcomes, and the next window
    FINISH = "finish"  # the last outcomes; the batch is closed
    RETRY = "retry"  # the claim of a batch of deliveries that are due again
    TAKE_OVER = "take over"  # the claim of a batch whose worker is dead
    HAND_BACK = "hand back"  # a draining worker returns what it did not open
    RENEW = "renew"  # a sign of life with batches in hand
    SWEEP = "sweep"


class Moment(StrEnum):
    """When in a step: around a command, or at a stage of the SMTP session."""

    BEFORE = "before"  # it was written by the process, and has not reached the store
    BETWEEN = "between"  # the store has carried it out, and the answer has not reached the process
    AFTER = "after"  # the answer is in the process' hands
    ENVELOPE = "envelope"  # the recipient is not answered yet
    CONTENT = "content"  # the content is on its way, its final dot is not
    DOT = "dot"  # the message was taken, and that is not answered yet
    REPLIED = "replied"  # the answer to the dot was given


STAGES: Mapping[str, Moment] = {
    "rcpt": Moment.ENVELOPE,
    "content": Moment.CONTENT,
    "dot": Moment.DOT,
}
"""The sink's word for each moment of a hand-over; a `tell` at the dot is REPLIED."""

_AROUND = (Moment.BEFORE, Moment.BETWEEN, Moment.AFTER)
_COMMANDS = (
    Step.OPEN,
    Step.RECORD,
    Step.FINISH,
    Step.RETRY,
    Step.HAND_BACK,
    Step.RENEW,
    Step.SWEEP,
    Step.ACCEPT,
)
_HANDING_OVER = (Moment.ENVELOPE, Moment.CONTENT, Moment.DOT, Moment.REPLIED)


@dataclass(frozen=True, slots=True)
class Point:
    """A point at which a process is killed."""

    step: Step
    moment: Moment


def every_point(times: int) -> list[Point]:
    """Every point but those of a take-over, so that each step of a delivery comes up `3 * times` times or more."""
    points = [Point(step, moment) for step in _COMMANDS for moment in _AROUND]
    points += [Point(Step.HAND_OVER, moment) for moment in _HANDING_OVER]
    # What follows a claim's answer is a step of its own.
    points += [Point(Step.CLAIM, Moment.BEFORE), Point(Step.CLAIM, Moment.BETWEEN)] * 2
    points += [Point(Step.RENDER, Moment.AFTER)] * 3
    return points * times


def take_overs(times: int) -> Sequence[Point]:
    """The points of a take-over: each needs a worker that died before."""
    return [Point(Step.TAKE_OVER, moment) for moment in _AROUND] * times


HOLDING = frozenset({Step.RENDER, Step.OPEN, Step.HAND_OVER, Step.RECORD, Step.RENEW})
"""Steps at which a worker certainly holds a batch: its death is followed by a take-over."""
