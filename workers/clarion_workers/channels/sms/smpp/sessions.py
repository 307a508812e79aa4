"""The sessions to one SMSC: bound as they are needed, bound again with backoff, watched by one timer."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Protocol

from clarion_core import logs
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import TransientFailure
from clarion_workers.channels.sms.smpp.binding import NotBound, bound_link
from clarion_workers.channels.sms.smpp.config import SmppConfig
from clarion_workers.channels.sms.smpp.session import Desk, Session

_UNBIND_S = 2.0  # what a polite end may take
_BACKOFF_S, _BACKOFF_MAX_S = 0.5, 30.0


class Office(Desk, Protocol):
    """Whose sessions they are."""

    @property
    def backlog(self) -> int:
        """Messages that wait to be submitted."""
        ...

    @property
    def listens(self) -> bool:
        """Whether sessions are wanted while nothing waits."""
        ...

    def not_bound(self, outcome: TransientFailure) -> None:
        """There is no session, and none can be had for now."""
        ...


class Sessions:
    """Keeps as many sessions as there is work for, at most `config.binds`."""

    def __init__(self, config: SmppConfig, office: Office) -> None:
        self._config, self._office = config, office
        self._tls = config.context()
        self._log = logs.get(__name__)
        self._bound: set[Session] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._open_at = 0.0
        self._last = TransientFailure(reason=Reason.PROVIDER_UNREACHABLE, detail="not bound")
        self._later: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._kept = self._closed = False
        self._troubled = False  # logged once, until a bind succeeds again

    def keep(self) -> None:
        """Have one session at all times from now on."""
        self._kept = True
        self.staff()

    def staff(self) -> None:
        """Give what waits to sessions that have room, and bind more where that is not enough."""
        for session in list(self._bound):
            session.work()
        missing = self._missing()
        if self._closed or missing <= 0:
            return
        wait_s = self._open_at - time.monotonic()
        if wait_s <= 0:
            for _ in range(missing):
                self._opening.add(asyncio.get_running_loop().create_task(self._open()))
            return
        if not self._bound and not self._opening:
            self._office.not_bound(self._last)
            missing = self._missing()
        if self._later is None and missing > 0:
            self._later = asyncio.get_running_loop().call_later(wait_s, self._staff_later)

    async def close(self) -> None:
        """Unbind all; takes two seconds at most."""
        self._closed = True
        for timer in (self._later, self._watch):
            if timer:
                timer.cancel()
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        sessions = list(self._bound)
        for session in sessions:
            session.leave()
        if sessions:
            ends = [asyncio.ensure_future(session.ended()) for session in sessions]
            await asyncio.wait(ends, timeout=min(_UNBIND_S, self._config.timeout_s))
            for session in sessions:
                session.drop()
            await asyncio.gather(*ends)

    def gone(self, session: Session) -> None:
        """Forget a session. One that ended before it was of any use counts as a failure to bind."""
        self._bound.discard(session)
        if self._closed:
            return
        if session.used:
            self._failures = 0
            self.staff()
        else:
            detail = "the SMSC closed a session that was not used yet"
            self._failed(TransientFailure(reason=Reason.PROVIDER_UNREACHABLE, detail=detail))

    def _missing(self) -> int:
        """Sessions to be bound besides those that are, or are being, bound."""
        needed = -(-self._office.backlog // self._config.window)
        least = 1 if self._kept or needed else 0
        present = len(self._bound) + len(self._opening)
        return min(max(needed - len(self._opening), least - present), self._config.binds - present)

    async def _open(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task
        try:
            link = await bound_link(self._config, self._tls)
        except NotBound as error:
            self._opening.discard(task)
            self._failed(error.outcome)
            return
        except Exception as error:  # whatever it is, those that wait must learn of it
            self._log.exception("smpp_bind_broke")
            self._opening.discard(task)
            detail = f"not bound: {type(error).__name__}"
            self._failed(TransientFailure(reason=Reason.PROVIDER_UNREACHABLE, detail=detail))
            return
        self._opening.discard(task)
        session = Session(link, self._office, self._config.window, loop.time)
        self._bound.add(session)
        self._troubled = False
        self._kept = self._kept or self._office.listens
        if self._watch is None:
            self._tick()
        session.begin()

    def _failed(self, outcome: TransientFailure) -> None:
        """Wait before the next try, longer each time; with no session at all, this is the outcome of all that wait."""
        now = time.monotonic()
        if now >= self._open_at:  # those that were tried at the same time are one failure
            pause_s = min(_BACKOFF_S * 2**self._failures, _BACKOFF_MAX_S)
            self._open_at = now + pause_s * random.uniform(0.8, 1.2)
            self._failures += 1
        self._last = outcome
        if not self._troubled:
            config = self._config
            self._log.warning("smpp_not_bound", host=config.host, port=config.port, reason=outcome.reason.value)
            self._troubled = True
        self.staff()

    def _staff_later(self) -> None:
        self._later = None
        self.staff()

    def _tick(self) -> None:
        """One timer for all sessions: late by a quarter of the shortest wait at most."""
        config = self._config
        for session in list(self._bound):
            session.check(config.timeout_s, config.enquire_s)
        self._watch = None
        if self._bound:
            period_s = min(1.0, config.timeout_s / 4, config.enquire_s / 4)
            self._watch = asyncio.get_running_loop().call_later(period_s, self._tick)
