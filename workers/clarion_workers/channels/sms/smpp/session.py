"""A bound link: segments go out as far as the window lets them, answers and deliveries come in.

The window begins with one segment, until the SMSC has answered anything: a broken one leaves one message in doubt, and
not a windowful. Whenever the SMSC says that it is too much, the window is halved; every windowful of taken segments
makes it one larger again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from clarion_workers.channels.sms.smpp.binding import BIND_SEQUENCE
from clarion_workers.channels.sms.smpp.link import Link
from clarion_workers.channels.sms.smpp.pdu import (
    SEQUENCE_MAX,
    Command,
    Deliver,
    Malformed,
    is_response,
    packed,
    parse_deliver,
    parse_message_id,
)
from clarion_workers.channels.sms.smpp.status import INVALID_COMMAND, OK, THROTTLING, TRY_AGAIN, UNBOUND

QUEUE_FULL = 0x14  # ESME_RMSGQFUL
_TAKING_IN_MAX = 256  # deliveries that are being taken in at once


class Segment(Protocol):
    """What is submitted as one submit_sm."""

    @property
    def body(self) -> bytes:
        """What stands behind the header."""
        ...


class Desk(Protocol):
    """Where a session gets its work and leaves what became of it."""

    def take(self) -> Segment | None:
        """The next segment."""
        ...

    def answered(self, segment: Any, status: int, message_id: str) -> None:
        """The SMSC has taken the segment, under its id, or certainly has not."""
        ...

    def unanswered(self, segment: Any, detail: str) -> None:
        """The segment was written, and nobody knows more."""
        ...

    def delivered(self, delivery: Deliver) -> Coroutine[Any, Any, int]:
        """Take in a receipt or somebody's message; the status to answer with."""
        ...

    def gone(self, session: Session) -> None:
        """The session is over."""
        ...


class Session:
    """Submits what the desk has until the connection ends. `now` is the loop's clock."""

    def __init__(self, link: Link, desk: Desk, window: int, now: Callable[[], float]) -> None:
        self.link = link
        self._desk, self._limit, self._now = desk, window, now
        self._allowed, self._taken = 1, 0
        self._fresh = True  # no answer yet
        self._outstanding: dict[int, tuple[Segment, float]] = {}
        self._sequence = BIND_SEQUENCE
        self._heard_at = self._asked_at = now()
        self._asking = self._leaving = False
        self._unbind: int | None = None  # of the SMSC's unbind, to be answered
        self._taking_in = set[asyncio.Task[None]]()
        self.used = False
        link.on_unit, link.on_read, link.on_lost = self._on_unit, self.work, self._on_lost

    def begin(self) -> None:
        """Look at what came together with the answer to the bind, and get to work."""
        for unit in self.link.early:
            self._on_unit(*unit)
        self.link.early.clear()
        self.work()

    @property
    def window(self) -> int:
        """Segments that may be unanswered now."""
        return self._allowed

    def work(self) -> None:
        """Write what the desk has, as far as the window goes, in one piece."""
        units = []
        now = self._now()
        while not (self._leaving or self.link.over) and len(self._outstanding) < self._allowed:
            segment = self._desk.take()
            if segment is None:
                break
            sequence = self._next()
            self._outstanding[sequence] = (segment, now)
            units.append(packed(Command.SUBMIT_SM, sequence, segment.body))
        if units:
            self.used = True
            self.link.write(b"".join(units))

    def leave(self) -> None:
        """Say goodbye; nothing more is submitted."""
        self._leaving = True
        self.link.write(packed(Command.UNBIND, self._next()))

    def check(self, timeout_s: float, enquire_s: float) -> None:
        """See that nothing is awaited for too long, and that the SMSC is there when nothing is awaited.

        One segment that nobody answers, while others behind it are answered, ends alone.
        """
        now = self._now()
        for sequence, (segment, written_at) in list(self._outstanding.items()):
            if now - written_at <= timeout_s:
                break
            if self._heard_at <= written_at:
                self.link.abort(f"no response within {timeout_s:g} s")
                return
            del self._outstanding[sequence]
            self._desk.unanswered(segment, f"no response within {timeout_s:g} s")
        if self._asking and now - self._asked_at > timeout_s:
            self.link.abort(f"no response to enquire_link within {timeout_s:g} s")
        elif self._unbind is not None and not self._outstanding:
            self._dismiss()
        elif not self._asking and now - max(self._heard_at, self._asked_at) > enquire_s:
            self._asking, self._asked_at = True, now
            self.link.write(packed(Command.ENQUIRE_LINK, self._next()))
        else:
            self.work()

    def drop(self) -> None:
        """End at once, whatever is being taken in: the SMSC comes again with it."""
        self.link.abort("the channel is closed")
        for task in self._taking_in:
            task.cancel()

    async def ended(self) -> None:
        """Return once the link is gone and nothing is being taken in any more."""
        await self.link.lost
        if self._taking_in:
            await asyncio.wait(self._taking_in)

    def _next(self) -> int:
        self._sequence = self._sequence % SEQUENCE_MAX + 1
        return self._sequence

    def _on_unit(self, command: int, status: int, sequence: int, body: bytes) -> None:
        self._heard_at = self._now()
        if command == Command.SUBMIT_SM_RESP:
            self._on_answer(sequence, status, body)
        elif command == Command.DELIVER_SM:
            self._on_deliver(sequence, body)
        elif command == Command.ENQUIRE_LINK:
            self.link.write(packed(Command.ENQUIRE_LINK_RESP, sequence))
        elif command == Command.ENQUIRE_LINK_RESP:
            self._asking = False
        elif command == Command.UNBIND:
            self._leaving, self._unbind = True, sequence
            if not self._outstanding:
                self._dismiss()
        elif command == Command.UNBIND_RESP:
            self.link.close()
        elif command == Command.GENERIC_NACK:
            self._on_nack(sequence, status)
        elif not is_response(command) and command != Command.ALERT_NOTIFICATION:
            self.link.write(packed(Command.GENERIC_NACK, sequence, status=INVALID_COMMAND))

    def _on_answer(self, sequence: int, status: int, body: bytes) -> None:
        found = self._outstanding.pop(sequence, None)
        if found is None:
            return  # too late: nobody waits for it any more
        if self._fresh:
            self._fresh, self._allowed = False, self._limit
        if status in THROTTLING:
            self._allowed, self._taken = max(1, self._allowed // 2), 0
        elif status == OK:
            self._taken += 1
            if self._taken >= self._allowed < self._limit:
                self._allowed, self._taken = self._allowed + 1, 0
        self._desk.answered(found[0], status, parse_message_id(body) if status == OK else "")
        if status == UNBOUND:
            self.link.abort("the SMSC says that the session is not bound")
        elif self._unbind is not None and not self._outstanding:
            self._dismiss()

    def _on_nack(self, sequence: int, status: int) -> None:
        if sequence in self._outstanding:
            self._on_answer(sequence, status or INVALID_COMMAND, b"")
        else:  # it could not read something, and after that nothing can be told apart
            self.link.abort("the SMSC could not read what it was sent")

    def _on_deliver(self, sequence: int, body: bytes) -> None:
        if len(self._taking_in) >= _TAKING_IN_MAX:
            self._deliver_response(sequence, QUEUE_FULL)
            return
        try:
            delivery = parse_deliver(body)
        except Malformed:
            self.link.abort("a deliver_sm of the SMSC can't be read")
            return
        task = asyncio.get_running_loop().create_task(self._take_in(sequence, delivery))
        self._taking_in.add(task)
        task.add_done_callback(self._taking_in.discard)

    async def _take_in(self, sequence: int, delivery: Deliver) -> None:
        status = TRY_AGAIN
        try:
            status = await self._desk.delivered(delivery)
        finally:
            self._deliver_response(sequence, status)

    def _deliver_response(self, sequence: int, status: int) -> None:
        self.link.write(packed(Command.DELIVER_SM_RESP, sequence, b"\0", status))  # message_id is unused: §4.6.2

    def _dismiss(self) -> None:
        """Answer the SMSC's unbind: everything that was submitted is answered."""
        assert self._unbind is not None
        self.link.write(packed(Command.UNBIND_RESP, self._unbind))
        self.link.close()

    def _on_lost(self, detail: str) -> None:
        outstanding, self._outstanding = self._outstanding, {}
        for segment, _ in outstanding.values():
            self._desk.unanswered(segment, detail)
        self._desk.gone(self)
