"""SMS over SMPP: messages wait at a desk, sessions fetch their segments, and every message gets one outcome."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence

from clarion_core import logs
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Outcome, PermanentFailure, TransientFailure
from clarion_workers.channels import CutOff, Found
from clarion_workers.channels.sms.inbound import Ears
from clarion_workers.channels.sms.message import SmsMessage
from clarion_workers.channels.sms.smpp import ids
from clarion_workers.channels.sms.smpp.binding import NotBound, bound_link
from clarion_workers.channels.sms.smpp.config import SmppConfig
from clarion_workers.channels.sms.smpp.jobs import Call, Job, Part
from clarion_workers.channels.sms.smpp.messages import bodies
from clarion_workers.channels.sms.smpp.pdu import Deliver
from clarion_workers.channels.sms.smpp.receiving import inbound_of, receipt_of
from clarion_workers.channels.sms.smpp.session import Session
from clarion_workers.channels.sms.smpp.sessions import Sessions
from clarion_workers.channels.sms.smpp.status import OK, REFUSED, THROTTLING, TRY_AGAIN

_PAUSE_S, _PAUSE_MAX_S = 0.5, 5.0  # nothing goes out after "too much at once"
_LATE = TransientFailure(reason=Reason.EXPIRED, detail="its time was over when its turn came")


class SmppChannel:
    """A `Channel` for text messages over SMPP. Sessions are bound when needed and kept, for what comes in.

    `ears` take in receipts and what people write; without them both are refused.
    """

    def __init__(self, config: SmppConfig, ears: Ears | None = None) -> None:
        self._config, self.ears = config, ears
        self._log = logs.get(__name__)
        self._waiting: deque[Job] = deque()
        self._sessions = Sessions(config, self)
        self._pause_s = 0.0
        self._paused: asyncio.TimerHandle | None = None
        self._closed = False

    async def send(self, messages: Sequence[SmsMessage]) -> list[Outcome]:
        """Hand the messages over and report one outcome each, in order. See `Channel.send`."""
        if not messages:
            return []
        if self._closed:
            closed = TransientFailure(reason=Reason.PROVIDER_UNREACHABLE, detail="the channel is closed")
            return [closed] * len(messages)
        done = asyncio.get_running_loop().create_future()
        call = Call(messages, done, receipts=self._config.receipts)
        self._waiting.extend(call.jobs)
        self._sessions.staff()
        try:
            await call.done
        except asyncio.CancelledError:
            outcomes = call.cut_off()
            self._waiting = deque(job for job in self._waiting if job.call is not call)
            raise CutOff(outcomes) from None
        return [outcome for outcome in call.outcomes if outcome is not None]

    async def listen(self) -> None:
        """Bind now, and again whenever the binding is lost: what comes in comes whether or not anything is sent."""
        self._sessions.keep()

    async def check(self) -> Found:
        """Bind once more, and let go. See `Channel.check`."""
        try:
            link = await bound_link(self._config, self._config.context())
        except NotBound as error:
            return Found(False, error.outcome.detail)
        link.abort("it was a test")
        return Found(True, "bound as a transceiver")

    async def close(self) -> None:
        """Unbind and end; takes two seconds at most."""
        self._closed = True
        await self._sessions.close()
        if self._paused:
            self._paused.cancel()
        self.not_bound(TransientFailure(reason=Reason.PROVIDER_UNREACHABLE, detail="the channel is closed"))

    # What sessions ask of their desk.

    @property
    def backlog(self) -> int:
        """Messages that wait to be submitted; none while nothing goes out: more sessions would not help."""
        return 0 if self._paused else len(self._waiting)

    @property
    def listens(self) -> bool:
        """Whether somebody wants what comes in."""
        return self.ears is not None

    def take(self) -> Part | None:
        """The next segment to submit; messages that can't be submitted are concluded."""
        while self._waiting and not self._paused:
            job = self._waiting[0]
            if job.over or not (job.due or self._begin(job)):
                self._waiting.popleft()
                continue
            part = job.next()
            if not job.may_go_on:
                self._waiting.popleft()
                job.queued = False
            return part
        return None

    def answered(self, part: Part, status: int, message_id: str) -> None:
        """The SMSC has the segment, or certainly has not."""
        job = part.job
        job.outstanding -= 1
        if status in THROTTLING:
            self._pause()
        elif not self._paused:
            self._pause_s = 0.0
        if job.over:
            return
        known_by = ids.of_response(message_id, self._config.receipt_ids)
        outcome = job.answered(part.number, status, known_by, self._pause_s)
        if outcome:
            job.conclude(outcome)
        elif job.may_go_on and not job.queued:
            job.queued = True
            self._waiting.appendleft(job)

    def unanswered(self, part: Part, detail: str) -> None:
        """Nobody knows whether the SMSC has the segment."""
        part.job.outstanding -= 1
        part.job.conclude(part.job.doubt(detail))

    def gone(self, session: Session) -> None:
        """The session is over."""
        self._sessions.gone(session)

    def not_bound(self, outcome: TransientFailure) -> None:
        """There is no session, and none can be had: that is the outcome of all that wait."""
        while self._waiting:
            job = self._waiting.popleft()
            job.conclude(job.doubt(outcome.detail) if job.taken else outcome)

    async def delivered(self, delivery: Deliver) -> int:
        """Take in a receipt or somebody's message; the status to answer with."""
        if self.ears is None:
            return REFUSED
        try:
            if not delivery.is_receipt:
                await self.ears.on_inbound(inbound_of(delivery, self._config.default_alphabet))
            elif receipt := receipt_of(delivery, self._config.receipt_ids):
                await self.ears.on_receipt(receipt)
            else:
                self._log.warning("receipt_unreadable")  # nor would it be the next time
        except Exception as error:  # whatever it is, the SMSC keeps it and comes again
            self._log.warning("not_taken_in", receipt=delivery.is_receipt, error=type(error).__name__)
            return TRY_AGAIN
        return OK

    def _begin(self, job: Job) -> bool:
        """Whether the message can be submitted; it is concluded where it can't."""
        deadline_s = job.message.deadline_s
        late = deadline_s != math.inf and deadline_s <= time.monotonic()
        made = _LATE if late else self._bodies(job.message)
        if isinstance(made, list):
            job.begin(made)
            return True
        job.conclude(made)
        return False

    def _bodies(self, message: SmsMessage) -> list[bytes] | PermanentFailure:
        try:
            return bodies(message, self._config)
        except Exception as error:  # whatever is wrong with one message, the others go on
            self._log.exception("sms_not_built", delivery=message.delivery_id)
            return PermanentFailure(reason=Reason.INTERNAL, detail=f"not built: {type(error).__name__}")

    def _pause(self) -> None:
        """Have nothing go out for a while, longer each time until something is taken."""
        if self._paused is None:
            self._pause_s = min(2 * self._pause_s, _PAUSE_MAX_S) or _PAUSE_S
            self._paused = asyncio.get_running_loop().call_later(self._pause_s, self._resume)

    def _resume(self) -> None:
        """Go on, but with those that have waited for a response's time: they go back to their queue."""
        self._paused = None
        since = time.monotonic() - self._config.timeout_s
        detail = "the SMSC took too little for too long"
        tired = TransientFailure(reason=Reason.PROVIDER_DEFERRED, detail=detail, retry_after_s=self._pause_s)
        for job in self._waiting:
            if job.call.since < since and not job.taken:
                job.conclude(tired)
        self._sessions.staff()
