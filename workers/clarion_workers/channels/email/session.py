"""Messages over one open connection: as few round trips as the server allows, never two messages in doubt.

With PIPELINING (RFC 2920) the next envelope follows a final dot at once; the next content waits for the reply to that
dot, because it needs the 354 that comes after it. A kept connection so costs one round trip a message. Without
PIPELINING each command waits for its reply.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels.email.message import BuiltEmail
from clarion_workers.channels.email.replies import CLOSING, Offers, Refusal, queue_id, refusal
from clarion_workers.channels.email.wire import Wire, shown

_DOT = b".\r\n"
_RSET = b"RSET\r\n"
_DATA = b"DATA\r\n"
_QUIT = b"QUIT\r\n"
# A content up to this size is written together with its dot; a larger one must have left first, so that a connection
# lost in the middle of it is known to have carried no dot.
_ONE_WRITE = 65_536
# A dot unanswered for so long, in seconds, holds up no other message: the one behind it goes over another connection.
_LATE_S = 1.0
LATE = TransientFailure(reason=Reason.EXPIRED, detail="its time was over when its turn came")
_BARE = re.compile(rb"\r\n|\r|\n")


class Step(IntEnum):
    """What a reply is awaited for."""

    MAIL = 0
    RCPT = 1
    DATA = 2
    DOT = 3
    RESET = 4
    QUIT = 5


_ENVELOPE = (Step.MAIL, Step.RCPT, Step.DATA)


class Item(Protocol):
    """A message on its way."""

    built: BuiltEmail
    repeated: bool  # given back once: not again

    @property
    def unwanted(self) -> bool:
        """True when nobody waits for the outcome any more."""
        ...

    @property
    def time_left_s(self) -> float:
        """Seconds until it is too late to hand it over; infinite where it never is."""
        ...


class Desk(Protocol):
    """Where a session gets its work and leaves the outcomes."""

    def take(self, offers: Offers) -> Item | None:
        """The next message that such a server can carry."""
        ...

    def conclude(self, item: Item, outcome: Outcome) -> None:
        """The message is through."""
        ...

    def give_back(self, item: Item) -> None:
        """The server saw nothing of this message: another connection may take it."""
        ...

    def withdraw(self, item: Item) -> None:
        """The session sends no content of this message: another connection takes it, and the item is unwanted."""
        ...

    @property
    def is_slow(self) -> bool:
        """Whether the server answers dots late: then an envelope behind one would be withdrawn, and its connection
        lost with it, message after message.
        """
        ...

    def idle(self, session: Session) -> None:
        """The session has nothing to do until `work` is called."""
        ...

    def gone(self, session: Session) -> None:
        """The session is over."""
        ...


class Session:
    """Carries what the desk has, one message after the other, until the connection ends."""

    def __init__(self, wire: Wire, offers: Offers, desk: Desk, now: Callable[[], float]) -> None:
        self.wire = wire
        self._offers, self._desk, self._now = offers, desk, now
        self._awaited: deque[Step] = deque()
        self._doubt: Item | None = None  # its dot is written, the reply not read
        self._next: Item | None = None  # its envelope is written, its dot not
        self._refusal: Refusal | None = None  # of `_next`
        self._accepted = self._has_recipient = False  # MAIL, RCPT of `_next`
        self._draining = False  # the content of `_next` is leaving
        self._fresh = True  # until its first message is through, or it was idle
        self._since = now()  # when the reply awaited was last due to begin, or idleness began
        wire.on_reply, wire.on_lost, wire.on_drained = self._on_reply, self._on_lost, self._on_drained

    def work(self) -> None:
        """Take what is waiting, after having been idle."""
        self._offer(b"")

    def leave(self) -> None:
        """Say goodbye; only an idle session may."""
        self._await(Step.QUIT)
        self.wire.write(_QUIT)

    @property
    def doubt(self) -> Item | None:
        """The message whose dot is written, and the reply not read."""
        return self._doubt

    @property
    def waited_s(self) -> float:
        """Seconds since the last sign of life: a reply, a command, or the begin of idleness."""
        return self._now() - self._since

    def check(self, timeout_s: float, dot_timeout_s: float) -> None:
        """Drop the connection if a reply is overdue, or if its orderly end is; free what waits behind a late dot."""
        if self._awaited and self._awaited[0] is Step.DOT:
            timeout_s = dot_timeout_s
        if self.wire.over:
            self.wire.transport.abort()
        elif (self._awaited or self._draining) and self.waited_s > timeout_s:
            step = self._awaited[0].name if self._awaited else "content"
            self.wire.abort(f"no reply within {timeout_s:g} s ({step})")
        elif self._doubt and self._next and not self._next.unwanted and self.waited_s > _LATE_S:
            self._desk.withdraw(self._next)

    def _await(self, *steps: Step) -> None:
        self._awaited.extend(steps)
        self._since = self._now()

    def _offer(self, before: bytes) -> None:
        """Write `before` and the envelope of the next message, if there is one."""
        item = self._desk.take(self._offers)
        if item is None:
            if before:
                self.wire.write(before)
            if not self._awaited:
                self._since, self._fresh = self._now(), False
                self._desk.idle(self)
            return
        self._next, self._refusal = item, None
        self._accepted = self._has_recipient = False
        if self._offers.pipelining:
            self._await(*_ENVELOPE)
            self.wire.write(before + _mail(item, self._offers) + _rcpt(item.built) + _DATA)
        else:
            self._await(Step.MAIL)
            self.wire.write(before + _mail(item, self._offers))

    def _on_reply(self, code: int, text: bytes) -> None:
        self._since = self._now()
        if not self._awaited:
            self._unasked(code, text)
            return
        step = self._awaited.popleft()
        if code == CLOSING:
            self._dismissed(step, code, text)
        elif step <= Step.DATA:
            self._on_envelope(step, code, text)
        elif step is Step.DOT:
            self._on_dot(code, text)
        elif step is Step.QUIT:
            self.wire.close()
        elif not self._awaited:  # a reset is over
            self._offer(b"")

    def _on_envelope(self, step: Step, code: int, text: bytes) -> None:
        if code != 354 if step is Step.DATA else not 200 <= code < 300:
            self._refusal = self._refusal or refusal(code, text, of_recipient=step is Step.RCPT)
        elif step is Step.MAIL:
            self._accepted = True
        elif step is Step.RCPT:
            self._has_recipient = True
        if step is Step.DATA:
            self._on_data(code)
        elif not self._offers.pipelining:
            self._next_command(step)

    def _next_command(self, step: Step) -> None:
        assert self._next
        if self._refusal:
            self._skip(_RSET)
            return
        self._await(Step(step + 1))
        self.wire.write(_rcpt(self._next.built) if step is Step.MAIL else _DATA)

    def _on_data(self, code: int) -> None:
        assert self._next
        if code != 354:
            self._skip(_RSET)
        elif not self._refusal and not self._next.unwanted and self._next.time_left_s > 0:
            self._hand_over(self._next)
        elif self._refusal and not self._has_recipient:
            self._skip(_DOT)  # RFC 2920 §3.1: a lone dot, and what it is answered with means nothing
        else:  # a dot would send an empty message to somebody
            if not self._refusal and not self._next.unwanted:
                self._desk.conclude(self._next, LATE)
                self._next = None
            self.wire.abort("the message was called off")

    def _skip(self, command: bytes) -> None:
        """The next message is refused: tell so, and clear the server's mind of it."""
        item, outcome = self._next, self._refusal
        assert item
        assert outcome
        self._next = self._refusal = None
        self._desk.conclude(item, outcome)
        self._await(Step.RESET)
        if self._offers.pipelining:
            self._fresh = False
            self._offer(command)
        else:
            self.wire.write(command)

    def _hand_over(self, item: Item) -> None:
        content = wire_form(item.built)
        if len(content) <= _ONE_WRITE:
            self._end_content(content)
            return
        self.wire.write(content)
        if self.wire.clogged:
            self._draining = True
        else:
            self._end_content(b"")

    def _on_drained(self) -> None:
        if self._draining:
            self._draining = False
            if self._next and self._next.unwanted:
                self.wire.abort("the message was called off")
            else:
                self._end_content(b"")

    def _end_content(self, content: bytes) -> None:
        self._doubt, self._next = self._next, None
        self._fresh = False
        self._await(Step.DOT)
        if self._offers.pipelining and not self._desk.is_slow:
            self._offer(content + _DOT)
        else:
            self.wire.write(content + _DOT)

    def _on_dot(self, code: int, text: bytes) -> None:
        item, self._doubt = self._doubt, None
        assert item
        if 200 <= code < 300:
            self._desk.conclude(item, Sent(detail=shown(code, text), provider_id=queue_id(text)))
        elif code >= 400:
            self._desk.conclude(item, refusal(code, text))
        else:
            self._desk.conclude(item, Ambiguous(detail=shown(code, text)))
            self.wire.abort("the server answered a message with an intermediate reply")
            return
        if not self._awaited:
            self._offer(b"")

    def _dismissed(self, step: Step, code: int, text: bytes) -> None:
        outcome = refusal(code, text)
        if step is Step.DOT and self._doubt:
            self._desk.conclude(self._doubt, outcome)
            self._doubt = None
        elif step in _ENVELOPE and self._next and not self._untouched(self._next):
            self._refusal = self._refusal or outcome
        self.wire.abort(shown(code, text))

    def _unasked(self, code: int, text: bytes) -> None:
        if self._draining and code >= 400:  # a refusal before the content is through
            self._refusal = refusal(code, text)
        self.wire.abort(shown(code, text))

    def _untouched(self, item: Item) -> bool:
        """True where a kept connection turned out dead before the server took anything of the message."""
        return not (self._fresh or self._accepted or self._refusal or item.repeated)

    def _on_lost(self, detail: str) -> None:
        doubt, item = self._doubt, self._next
        if doubt:
            self._desk.conclude(doubt, Ambiguous(detail=detail))
        if item and self._untouched(item):
            self._desk.give_back(item)
        elif item:
            unreachable = TransientFailure(reason=Reason.PROVIDER_UNREACHABLE, detail=detail)
            self._desk.conclude(item, self._refusal or unreachable)
        self._doubt = self._next = None
        self._awaited.clear()
        self._draining = False
        self._desk.gone(self)


def unsupported(built: BuiltEmail, offers: Offers) -> PermanentFailure | None:
    """Why such a server can't carry the message, if it can't."""
    if built.needs_smtputf8 and not offers.smtputf8:
        detail = "the address needs SMTPUTF8, which the server does not offer"
    elif offers.size and len(built.content) > offers.size:
        detail = f"the message has {len(built.content)} bytes, the server takes {offers.size}"
    else:
        return None
    return PermanentFailure(reason=Reason.PROVIDER_UNSUPPORTED, detail=detail)


def wire_form(built: BuiltEmail) -> bytes:
    """What `stuffed` makes of the content, without looking for what is known not to be there."""
    if not built.crlf_only:
        return stuffed(built.content)
    return built.content if built.dotless else built.content.replace(b"\r\n.", b"\r\n..")


def stuffed(content: bytes) -> bytes:
    """The content with CRLF line ends and no others, leading dots doubled, ended by CRLF (RFC 5321 §4.5.2).

    A bare CR or LF never leaves: some servers take `LF . LF` for the end of a message, and what follows for commands.
    """
    if not content.count(b"\n") == content.count(b"\r") == content.count(b"\r\n"):
        content = _BARE.sub(b"\r\n", content)
    if content.startswith(b"."):
        content = b"." + content
    if b"\r\n." in content:
        content = content.replace(b"\r\n.", b"\r\n..")
    return content if content.endswith(b"\r\n") or not content else content + b"\r\n"


def _mail(item: Item, offers: Offers) -> bytes:
    built = item.built
    size = "" if offers.size is None else f" SIZE={len(built.content)}"
    wide = " BODY=8BITMIME" if built.eight_bit or (built.needs_smtputf8 and offers.eight_bit) else ""
    wide += " SMTPUTF8" if built.needs_smtputf8 else ""
    by = ""
    if offers.deliver_by is not None and max(1, offers.deliver_by) <= item.time_left_s < math.inf:
        by = f" BY={int(item.time_left_s)};R"  # RFC 2852: return it to the sender rather than deliver it later
    # RFC 3461 §4.3: who it was and why it comes back is all that is read of it, and files may be large.
    ret = " RET=HDRS" if offers.dsn else ""
    return f"MAIL FROM:<{built.mail_from}>{size}{wide}{ret}{by}\r\n".encode()


def _rcpt(built: BuiltEmail) -> bytes:
    return f"RCPT TO:<{built.rcpt_to}>\r\n".encode()
