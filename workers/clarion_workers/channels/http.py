"""Providers over HTTP: one bounded, reused set of connections, and the question of what a broken call means.

A call that broke before its request was on the way is a transient failure; one that broke afterwards is ambiguous. What
an answer means is the provider's own business.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any, Generic, TypeVar

import aiohttp
import msgspec

from clarion_core import logs
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, TransientFailure
from clarion_workers.channels import CutOff, Message

ANSWER_MAX = 65_536
"""Bytes of an answer that are read."""

# Idle connections are closed before servers close theirs (nginx: 75 s, AWS load balancers: 60 s): a request on a
# connection that is being closed is ambiguous.
_IDLE_S = 15.0
_LATE = TransientFailure(reason=Reason.EXPIRED, detail="its time was over before it could be handed over")

MessageT = TypeVar("MessageT", bound=Message)

log = logs.get(__name__)


class Request(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One call to a provider."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    method: str = "POST"


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a provider answered; of the body, the first 64 KiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def retry_after_s(self) -> float | None:
        """How long the provider asks to wait (RFC 9110 §10.2.3: seconds, or a date); None where it does not say."""
        return retry_after_s(self.headers.get("Retry-After", ""), time.time())


def retry_after_s(value: str, now_s: float) -> float | None:
    """What a Retry-After header says, in seconds from now; None where it says nothing that can be read."""
    value = value.strip()
    if value.isdecimal():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now_s)
    except (ValueError, OverflowError):
        return None


class HttpChannel(ABC, Generic[MessageT]):
    """A `Channel` to a provider that takes one message a request.

    `connections` bounds the requests in flight, `timeout_s` how long each may take from begin to end. Redirects are not
    followed. A subclass says what is asked and what the answer means.
    """

    name: str
    """The kind of provider, as logs call it."""

    def __init__(
        self,
        *,
        connections: int,
        timeout_s: float,
        tls: ssl.SSLContext | None = None,
        connector: aiohttp.BaseConnector | None = None,
    ) -> None:
        self._connections, self._timeout_s = connections, timeout_s
        self._tls, self._connector = tls, connector
        self._room = asyncio.Semaphore(connections)
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._troubled = False  # logged once, until an answer comes again

    @abstractmethod
    async def request(self, message: MessageT) -> Request | PermanentFailure | TransientFailure:
        """What to ask the provider for; or why it can't be asked."""

    @abstractmethod
    def outcome(self, message: MessageT, answer: Answer) -> Outcome:
        """What the provider's answer means."""

    async def send(self, messages: Sequence[MessageT]) -> list[Outcome]:
        """Hand the messages over and report one outcome each, in order. See `Channel.send`."""
        if self._closed:
            closed = TransientFailure(reason=Reason.PROVIDER_UNREACHABLE, detail="the channel is closed")
            return [closed] * len(messages)
        call = _Call(len(messages))
        tasks = [asyncio.create_task(self._one(call, index, message)) for index, message in enumerate(messages)]
        try:
            if tasks:
                await asyncio.wait(tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise CutOff(call.outcomes) from None
        return [task.result() for task in tasks]

    async def close(self) -> None:
        """Let go of kept connections; nothing is being sent when it is called."""
        self._closed = True
        if self._session:
            await self._session.close()

    async def _one(self, call: _Call, index: int, message: MessageT) -> Outcome:
        async with self._room:
            outcome = await self._attempt(call, index, message)
        call.outcomes[index] = outcome
        return outcome

    async def _attempt(self, call: _Call, index: int, message: MessageT) -> Outcome:
        left_s = message.deadline_s - time.monotonic()
        if left_s <= 0:
            return _LATE
        trace = SimpleNamespace(sent=False)
        try:
            request = await self.request(message)
            if not isinstance(request, Request):
                return request
            if message.deadline_s <= time.monotonic():
                return _LATE
            answer = await self._ask(request, trace)
            self._troubled = False
            return self.outcome(message, answer)
        except asyncio.CancelledError:
            if trace.sent:
                call.outcomes[index] = Ambiguous(detail="cut off by the shutdown")
            raise
        except Exception as error:  # whatever a call meets is its outcome
            return self._broken(message, error, sent=trace.sent)

    async def _ask(self, request: Request, trace: SimpleNamespace) -> Answer:
        session = self._session = self._session or self._open()
        async with session.request(
            request.method,
            request.url,
            data=request.body,
            headers=request.headers,
            allow_redirects=False,
            trace_request_ctx=trace,
        ) as response:
            body = await response.content.read(ANSWER_MAX)
            while len(body) < ANSWER_MAX and (more := await response.content.read(ANSWER_MAX - len(body))):
                body += more
            return Answer(status=response.status, headers=response.headers, body=body)

    def _open(self) -> aiohttp.ClientSession:
        watched = aiohttp.TraceConfig()
        watched.on_request_headers_sent.append(_note_sent)
        connector = self._connector or aiohttp.TCPConnector(
            limit=self._connections, ssl=self._tls or True, keepalive_timeout=_IDLE_S
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            trace_configs=[watched],
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=["User-Agent"],
            headers={"User-Agent": "Clarion"},
        )

    def _broken(self, message: MessageT, error: Exception, *, sent: bool) -> Outcome:
        kind = type(error).__name__
        if not isinstance(error, aiohttp.ClientError | TimeoutError | OSError):
            log.exception("message_not_sent", provider=self.name, delivery=message.delivery_id)
            detail = f"not sent: {kind}"
            return Ambiguous(detail=detail) if sent else PermanentFailure(reason=Reason.INTERNAL, detail=detail)
        if sent:
            return Ambiguous(detail=f"no answer: {kind}")
        untrusted = isinstance(error, aiohttp.ClientSSLError)
        reason = Reason.PROVIDER_CREDENTIALS if untrusted else Reason.PROVIDER_UNREACHABLE
        if not self._troubled:
            log.warning("provider_not_reached", provider=self.name, reason=reason.value, error=kind)
            self._troubled = True
        return TransientFailure(reason=reason, detail=f"no connection: {kind}")


class _Call:
    """One call of `send`: its outcomes so far."""

    def __init__(self, size: int) -> None:
        self.outcomes: list[Outcome | None] = [None] * size


async def _note_sent(_session: Any, context: SimpleNamespace, _params: Any) -> None:
    context.trace_request_ctx.sent = True
