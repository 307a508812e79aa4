"""The e-mail channel: messages in, outcomes out, over a few kept connections to one SMTP server.

All calls put their messages in one line; whichever connection is free takes the next. So a slow connection holds up
one message, not a share of a batch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from clarion_core import logs
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, TransientFailure
from clarion_workers.channels import CutOff, Found
from clarion_workers.channels.email.config import SmtpConfig
from clarion_workers.channels.email.handshake import NotOpened, open_wire
from clarion_workers.channels.email.letterhead import NOTHING_SHARED, Letterhead
from clarion_workers.channels.email.line import Line
from clarion_workers.channels.email.message import BuiltEmail, EmailMessage
from clarion_workers.channels.email.mime import MimeBuilder
from clarion_workers.channels.email.replies import Offers
from clarion_workers.channels.email.session import LATE, Item, Session, unsupported

_QUIT_S = 2.0  # what a polite end may take
_SLOW_S = 60.0  # a server that let messages wait is taken for slow for so long
_GROW_AGAIN_S = 30.0  # a server that takes no more connections is not asked for one sooner


class _Call:
    """One call of `send`."""

    def __init__(self, size: int, done: asyncio.Future[None]) -> None:
        self.outcomes: list[Outcome | None] = [None] * size
        self.left = size
        self.done = done


class _Item:
    """One message of a call; built when its turn comes."""

    __slots__ = ("built", "call", "index", "is_out", "message", "repeated", "withdrawn")

    built: BuiltEmail

    def __init__(self, call: _Call, index: int, message: EmailMessage) -> None:
        self.call, self.index, self.message = call, index, message
        self.repeated = self.withdrawn = self.is_out = False

    @property
    def domain(self) -> str:
        message = self.message
        to = message.copy.address.rstrip(">") if message.copy else message.to_address
        return to.rpartition("@")[2].lower()

    @property
    def unwanted(self) -> bool:
        return self.withdrawn or self.call.done.done()

    @property
    def time_left_s(self) -> float:
        return self.message.deadline_s - time.monotonic()


class EmailChannel:
    """A `Channel` for e-mail over SMTP. Connections are opened when needed and closed when idle for a while."""

    def __init__(self, config: SmtpConfig, letterhead: Letterhead = NOTHING_SHARED) -> None:
        self._config = config
        self._tls = config.tls()
        self._builder = MimeBuilder(config.message_id_domain, letterhead)
        self._log = logs.get(__name__)
        self._waiting = Line[_Item](config.per_domain)
        self._sessions: set[Session] = set()
        self._idle: list[Session] = []  # the last one used first, so that the others get old
        self._opening: set[asyncio.Task[None]] = set()
        self._grow_at = self._slow_until = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._closed = False
        self._troubled = False  # logged once, until a connection opens again

    async def send(self, messages: Sequence[EmailMessage]) -> list[Outcome]:
        """Hand the messages over and report one outcome each, in order. See `Channel.send`."""
        if not messages:
            return []
        if self._closed:
            return [_unreachable("the channel is closed")] * len(messages)
        call = _Call(len(messages), asyncio.get_running_loop().create_future())
        self._waiting.extend(_Item(call, index, message) for index, message in enumerate(messages))
        self._staff()
        try:
            await call.done
        except asyncio.CancelledError:
            self._waiting.drop(lambda item: item.call is call)
            for session in self._sessions:
                doubt = session.doubt
                if isinstance(doubt, _Item) and doubt.call is call:
                    call.outcomes[doubt.index] = Ambiguous(detail="cut off by the shutdown")
            raise CutOff(list(call.outcomes)) from None
        return [outcome for outcome in call.outcomes if outcome is not None]

    async def check(self) -> Found:
        """Connect, log in, and say what the server offers. See `Channel.check`."""
        try:
            wire, offers = await open_wire(self._config, self._tls)
        except NotOpened as error:
            return Found(False, error.outcome.detail)
        wire.transport.abort()
        secured = {"none": "in the clear", "starttls": "with STARTTLS", "tls": "with TLS"}[self._config.security]
        known = f", logged in as {self._config.username!r}" if self._config.username else ""
        size = f", messages up to {offers.size:,} octets" if offers.size else ""
        return Found(True, f"connected {secured}{known}{size}")

    async def close(self) -> None:
        """Say goodbye on kept connections and end; takes two seconds at most."""
        self._closed = True
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        sessions = list(self._sessions)
        while self._idle:
            self._idle.pop().leave()
        if sessions:
            patience = min(_QUIT_S, self._config.timeout_s)
            await asyncio.wait([session.wire.lost for session in sessions], timeout=patience)
        for session in sessions:
            session.wire.transport.abort()
        await asyncio.gather(*(session.wire.lost for session in sessions))
        if self._watch:
            self._watch.cancel()
        self._fail_waiting(_unreachable("the channel is closed"))

    # What a session asks of its desk.

    def take(self, offers: Offers) -> Item | None:
        """The next message that such a server can carry; those that can't be carried are concluded."""
        while item := self._waiting.take():
            item.is_out = True
            if item.unwanted:
                self._back(item)
                continue
            refused = LATE if item.time_left_s <= 0 else self._build(item, offers) or unsupported(item.built, offers)
            if refused is None:
                return item
            self.conclude(item, refused)
        return None

    def conclude(self, item: Item, outcome: Outcome) -> None:
        """Note the outcome; the last one of a call ends it."""
        assert isinstance(item, _Item)
        if item.withdrawn:
            return
        self._back(item)
        call = item.call
        call.outcomes[item.index] = outcome
        call.left -= 1
        if not call.left and not call.done.done():
            call.done.set_result(None)

    def give_back(self, item: Item) -> None:
        """Put the message first in line, once; a new connection takes it, since idle ones may be as dead."""
        assert isinstance(item, _Item)
        if item.withdrawn:
            return
        item.repeated = True
        self._back(item)
        self._waiting.put_first(item)
        while self._idle:
            self._idle.pop().leave()

    def withdraw(self, item: Item) -> None:
        """Put the message first in line again, as if it had never left it."""
        assert isinstance(item, _Item)
        item.withdrawn = True
        self._slow_until = time.monotonic() + _SLOW_S
        self._back(item)
        self._waiting.put_first(_Item(item.call, item.index, item.message))
        self._staff()

    @property
    def is_slow(self) -> bool:
        """Whether a dot was answered late a moment ago."""
        return time.monotonic() < self._slow_until

    def idle(self, session: Session) -> None:
        """Keep the session for the next message."""
        if self._closed:
            session.leave()
        else:
            self._idle.append(session)

    def gone(self, session: Session) -> None:
        """Forget the session, and see that what waits does not wait in vain."""
        self._sessions.discard(session)
        if session in self._idle:
            self._idle.remove(session)
        self._staff()

    def _build(self, item: _Item, offers: Offers) -> PermanentFailure | None:
        try:
            built = self._builder.build(item.message, eight_bit=offers.eight_bit)
        except Exception as error:  # whatever is wrong with one message, the others go on
            self._log.exception("email_not_built", delivery=item.message.delivery_id)
            return PermanentFailure(reason=Reason.INTERNAL, detail=f"not built: {type(error).__name__}")
        if isinstance(built, PermanentFailure):
            return built
        item.built = built
        return None

    def _back(self, item: _Item) -> None:
        """The message is not in hand any more: another one to its domain may be."""
        if item.is_out:
            item.is_out = False
            if self._waiting.ended(item) and self._idle:
                asyncio.get_running_loop().call_soon(self._staff)  # the session at hand may take it itself

    def _staff(self) -> None:
        """Give what waits to idle connections, then to new ones."""
        while self._waiting and self._idle:
            self._idle.pop().work()
        present = len(self._sessions) + len(self._opening)
        if self._closed or (present and time.monotonic() < self._grow_at):
            return
        for _ in range(min(len(self._waiting) - len(self._opening), self._config.connections - present)):
            self._opening.add(asyncio.get_running_loop().create_task(self._open()))

    async def _open(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task
        try:
            wire, offers = await open_wire(self._config, self._tls)
        except NotOpened as error:
            self._opening.discard(task)
            self._not_opened(error.outcome)
            return
        except Exception as error:  # whatever it is, those that wait must learn of it
            self._log.exception("smtp_open_broke")
            self._opening.discard(task)
            self._not_opened(_unreachable(f"no connection: {type(error).__name__}"))
            return
        self._opening.discard(task)
        session = Session(wire, offers, self, loop.time)
        self._sessions.add(session)
        self._troubled = False
        if self._watch is None:
            self._tick()
        session.work()

    def _not_opened(self, outcome: TransientFailure) -> None:
        """Go on with fewer connections; with none at all, this is the outcome of all that wait."""
        if not self._troubled:
            config = self._config
            self._log.warning("smtp_not_connected", host=config.host, port=config.port, reason=outcome.reason.value)
            self._troubled = True
        if self._sessions or self._opening:
            self._grow_at = time.monotonic() + _GROW_AGAIN_S
        else:
            self._fail_waiting(outcome)

    def _fail_waiting(self, outcome: TransientFailure) -> None:
        for item in self._waiting.empty():
            self.conclude(item, outcome)

    def _tick(self) -> None:
        """One timer for all connections: late by a quarter of the time-out at most."""
        for session in list(self._sessions):
            session.check(self._config.timeout_s, self._config.patience_s)
        for session in [session for session in self._idle if session.waited_s > self._config.idle_s]:
            self._idle.remove(session)
            session.leave()
        self._watch = None
        if self._sessions:
            period = min(1.0, self._config.timeout_s / 4, self._config.idle_s / 4)
            self._watch = asyncio.get_running_loop().call_later(period, self._tick)


def _unreachable(detail: str) -> TransientFailure:
    return TransientFailure(reason=Reason.PROVIDER_UNREACHABLE, detail=detail)
