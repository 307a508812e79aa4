"""What a process says to the store and hears from it, in the words of a delivery.

`Wire` reads one connection. `Hand` is what a worker has in hand by the word of the wire: what it claimed and has not
opened, and what it opened and has not recorded. The second is what its death may leave ambiguous; the ledger says
whether it did.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import hiredis
import msgspec

from faults.points import Step
from faults.resp import words

# Places in what store/functions/batch.lua takes and answers: in a result of `advance`, in the answer to `claim`.
_UNSURE, _ROWS = 7, 5


@dataclass(slots=True)
class Passing:
    """A command on its way, and its answer behind it. `step` is None where it is no step of a delivery."""

    step: Step | None
    request: Mapping[str, Any] = field(default_factory=dict)  # of a function
    function: str = ""


@dataclass(slots=True)
class Hand:
    """What a worker has in hand."""

    claimed: dict[str, set[str]] = field(default_factory=dict)  # batch → deliveries not opened yet
    opened: dict[str, str] = field(default_factory=dict)  # delivery in an open window → its batch
    perhaps: dict[str, str] = field(default_factory=dict)  # the same, where the connection broke before it was answered
    unsure: list[str] = field(default_factory=list)  # deliveries of which it said itself that the outcome is unknown
    fenced: list[str] = field(default_factory=list)  # deliveries that were open when it learnt that it is late
    draining: bool = False

    @property
    def held(self) -> list[str]:
        """The deliveries that wait for it and were not opened."""
        waiting = [delivery for left in self.claimed.values() for delivery in left]
        return sorted(waiting)


class Claims:
    """The last claim of every batch that was seen on any wire."""

    def __init__(self) -> None:
        self.epochs: dict[str, int] = {}

    def is_take_over(self, request: Mapping[str, Any]) -> bool:
        """Whether somebody has this very claim."""
        return self.epochs.get(request["batch"]) == request["epoch"]


class Wire:
    """One connection of a process: names its commands, and keeps its hand up to date."""

    def __init__(self, hand: Hand, claims: Claims) -> None:
        self._hand, self._claims = hand, claims
        self._unanswered: deque[Passing] = deque()

    def command(self, raw: bytes) -> Passing:
        """A command that was written."""
        passing = self._named(words(raw))
        self._unanswered.append(passing)
        return passing

    def withdraw(self) -> None:
        """The last command did not reach the store."""
        self._unanswered.pop()

    def answer(self, raw: bytes) -> Passing:
        """The answer to the oldest command without one."""
        passing = self._unanswered.popleft()
        if passing.step is not None and not raw.startswith(b"-"):
            _take_note(self._hand, self._claims, passing, raw)
        return passing

    def over(self) -> None:
        """The connection is gone. What was not answered may have been done: a window opened, its outcomes recorded."""
        for passing in self._unanswered:
            if passing.function == "advance":
                for delivery, *_ in (*passing.request["open"], *passing.request["results"]):
                    self._hand.opened.pop(delivery, None)
                    self._hand.perhaps[delivery] = passing.request["batch"]
        self._unanswered.clear()

    def _named(self, command: list[bytes]) -> Passing:
        name = command[0].upper()
        if name == b"FCALL":
            return self._function(command[1].decode().rpartition("_")[0], command[4])
        return Passing(None)

    def _function(self, function: str, blob: bytes) -> Passing:
        request = msgspec.msgpack.decode(blob)
        return Passing(_step(function, request, self._hand, self._claims), request, function)


def _step(function: str, request: Mapping[str, Any], hand: Hand, claims: Claims) -> Step | None:
    match function:
        case "accept":
            return Step.ACCEPT
        case "claim":
            if claims.is_take_over(request):
                return Step.TAKE_OVER
            return Step.RETRY if request["batch"].startswith("r:") else Step.CLAIM
        case "advance":
            return _of_advance(request, hand)
        case "renew" if request["batches"]:
            return Step.RENEW
        case "sweep":
            return Step.SWEEP
    return None


def _of_advance(request: Mapping[str, Any], hand: Hand) -> Step:
    if not request["finish"]:
        return Step.RECORD if request["results"] else Step.OPEN
    left = hand.claimed.get(request["batch"], set()) - {result[0] for result in request["results"]}
    return Step.HAND_BACK if hand.draining and left else Step.FINISH


def _take_note(hand: Hand, claims: Claims, passing: Passing, raw: bytes) -> None:
    if passing.function == "claim":
        _claimed(hand, claims, passing.request, _value(raw))
    elif passing.function == "advance":
        _advanced(hand, passing.request, _value(raw))


def _claimed(hand: Hand, claims: Claims, request: Mapping[str, Any], answer: list[Any]) -> None:
    if answer[0] == b"CLAIMED":
        hand.claimed[request["batch"]] = {row[0].decode() for row in answer[_ROWS]}
        claims.epochs[request["batch"]] = request["epoch"]


def _advanced(hand: Hand, request: Mapping[str, Any], answer: list[Any]) -> None:
    batch, step = request["batch"], answer[0]
    if step == b"FENCED":
        hand.claimed.pop(batch, None)
        for windows in (hand.opened, hand.perhaps):
            late = [delivery for delivery, of in windows.items() if of == batch]
            hand.fenced += late
            for delivery in late:
                del windows[delivery]
        return
    left = hand.claimed.setdefault(batch, set())
    for result in request["results"]:
        delivery = result[0]
        hand.opened.pop(delivery, None)
        hand.perhaps.pop(delivery, None)
        left.discard(delivery)
        if result[_UNSURE]:
            hand.unsure.append(delivery)
    for (delivery, *_), allowed in zip(request["open"], answer[2] if step == b"OPENED" else (), strict=False):
        left.discard(delivery)
        hand.perhaps.pop(delivery, None)
        if allowed:
            hand.opened[delivery] = batch
    if request["finish"]:
        del hand.claimed[batch]


def _value(raw: bytes) -> list[Any]:
    reader = hiredis.Reader()
    reader.feed(raw)
    answer: list[Any] = reader.gets()
    return answer
