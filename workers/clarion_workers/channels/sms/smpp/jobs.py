"""A message on its way: its segments, which of them the SMSC has, and what that comes to.

A message of several segments is one hand-over. Its first segment goes alone: where that is refused, the SMSC has
nothing of the message. What goes wrong behind it is ambiguous, for some of it is there and some is not; only a segment
that was refused because it was too much at once goes out again, by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from clarion_core.domain.outcome import Ambiguous, Outcome, Sent, TransientFailure
from clarion_workers.channels.sms.message import SmsMessage
from clarion_workers.channels.sms.smpp.status import NAMES, OK, THROTTLING, refusal, shown

REPEATS_MAX = 8
_IDS_MAX = 128  # characters of ids that an outcome may have


class Call:
    """One call of `send`. `receipts`: they were asked for."""

    def __init__(self, messages: Sequence[SmsMessage], done: asyncio.Future[None], *, receipts: bool) -> None:
        self.outcomes: list[Outcome | None] = [None] * len(messages)
        self.left = len(messages)
        self.done, self.receipts = done, receipts
        self.since = time.monotonic()
        self.jobs = [Job(self, index, message) for index, message in enumerate(messages)]

    def cut_off(self) -> list[Outcome | None]:
        """End now: the outcomes so far, Ambiguous for what the SMSC may have some of."""
        for job in self.jobs:
            if not job.over and (job.outstanding or job.taken):
                self.outcomes[job.index] = job.doubt("cut off by the shutdown")
            job.over = True
        return list(self.outcomes)


class Job:
    """One message of a call. `bodies` are known from when its turn comes; `due` are the numbers not written yet."""

    __slots__ = (
        "bodies",
        "call",
        "due",
        "ids",
        "index",
        "message",
        "outstanding",
        "over",
        "queued",
        "repeats",
    )

    def __init__(self, call: Call, index: int, message: SmsMessage) -> None:
        self.call, self.index, self.message = call, index, message
        self.bodies: Sequence[bytes] = ()
        self.due: list[int] = []  # the next one last
        self.ids: dict[int, str] = {}
        self.outstanding = self.repeats = 0
        self.over, self.queued = False, True

    @property
    def taken(self) -> int:
        """Segments that the SMSC has."""
        return len(self.ids)

    def begin(self, bodies: Sequence[bytes]) -> None:
        """Its turn has come."""
        self.bodies, self.due = bodies, list(range(len(bodies) - 1, -1, -1))

    def next(self) -> Part:
        """The segment to write."""
        self.outstanding += 1
        return Part(self, self.due.pop())

    @property
    def may_go_on(self) -> bool:
        """Whether another segment may be written now: none before the first one is taken."""
        return bool(self.due and self.ids)

    def answered(self, number: int, status: int, message_id: str, wait_s: float) -> Outcome | None:
        """A segment was taken or refused; the outcome where that ends it. `wait_s`: how long nothing goes out now."""
        if status == OK:
            self.ids[number] = message_id
            return self._sent() if len(self.ids) == len(self.bodies) else None
        if not self.ids:
            outcome = refusal(status)
            if status in THROTTLING:
                return TransientFailure(reason=outcome.reason, detail=outcome.detail, retry_after_s=wait_s)
            return outcome
        if status in THROTTLING and self.repeats < REPEATS_MAX:
            self.repeats += 1
            self.due.append(number)
            return None
        return self.doubt(f"refused: {shown(status)}")

    def doubt(self, detail: str) -> Ambiguous:
        """What it comes to when nobody can tell any more; the detail says why."""
        many = len(self.bodies) > 1
        return Ambiguous(
            detail=f"{len(self.ids)} of {len(self.bodies)} segments taken, then: {detail}" if many else detail
        )

    def conclude(self, outcome: Outcome) -> None:
        """Note the outcome; the last one of a call ends it."""
        if self.over:
            return
        self.over = True
        call = self.call
        call.outcomes[self.index] = outcome
        call.left -= 1
        if not call.left and not call.done.done():
            call.done.set_result(None)

    def _sent(self) -> Sent:
        """With the ids that receipts will name, the last segment's first: it is the one that tells of all outcomes."""
        last = len(self.bodies) - 1
        if not last:
            return Sent(detail=NAMES[OK], provider_id=self.ids[0], receipts_by_id=self.call.receipts)
        listed = ""
        for number in (last, *range(last)):
            longer = f"{listed} {self.ids[number]}".strip()
            if len(longer) > _IDS_MAX:
                break
            listed = longer
        return Sent(detail=f"{NAMES[OK]}: {last + 1} segments", provider_id=listed, receipts_by_id=self.call.receipts)


class Part:
    """A segment of a message that is being submitted."""

    __slots__ = ("job", "number")

    def __init__(self, job: Job, number: int) -> None:
        self.job, self.number = job, number

    @property
    def body(self) -> bytes:
        """What stands behind the header."""
        return self.job.bodies[self.number]
