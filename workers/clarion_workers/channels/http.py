"""Providers over HTTP: one bounded, reused set of connections, and the question of what a broken call means.

A call that broke before its request was given to the connection is a transient failure; one that broke afterwards is
ambiguous. What an answer means is the provider's own business; what a status says of its own accord is in `answers`.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import aiohttp
import msgspec
from yarl import URL

from clarion_core import logs
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, TransientFailure
from clarion_workers.channels import CutOff, Found, Message

ANSWER_MAX = 65_536
"""Bytes of an answer that are read."""

# Idle connections are closed before servers close theirs (nginx: 75 s, AWS load balancers: 60 s): a request on a
# connection that is being closed is ambiguous.
IDLE_S = 15.0
_LATE = TransientFailure(reason=Reason.EXPIRED, detail="its time was over before it could be handed over")
# Answers are small, and a provider's JSON has to be read as it comes: no compression is asked for.
_HEADERS = {"User-Agent": "Clarion", "Accept-Encoding": "identity"}

MessageT = TypeVar("MessageT", bound=Message)

log = logs.get(__name__)


class Request(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One call to a provider; `proxy_headers` are for the proxy alone, where the session has one."""

    url: str | URL
    body: bytes
    headers: Mapping[str, str]
    method: str = "POST"
    proxy_headers: Mapping[str, str] | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a provider answered; of the body, the first 64 KiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def retry_after_s(self) -> float | None:
        """How long the provider asks to wait (RFC 9110 §10.2.3: seconds, or a date); None where it does not say."""
        return retry_after_s(self.headers.get("Retry-After", ""), time.time())

    def json(self) -> Any:
        """The body as JSON; None where it is none, or is too long to be read whole."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


def retry_after_s(value: str, now_s: float) -> float | None:
    """What a Retry-After header says, in seconds from now; None where it says nothing that can be read."""
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now_s)
    except (ValueError, OverflowError):
        return None


class Body(aiohttp.Payload):
    """A request's body, which knows whether the request was given to the connection, and takes it back.

    A connection that has spoken unasked is never given one: what it said would be taken for the answer.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._size = len(content)
        self._transport: asyncio.Transport | None = None

    @property
    def sent(self) -> bool:
        """Whether the server may have the request, or get it yet."""
        return self._transport is not None

    @property
    def consumed(self) -> bool:
        """What was sent once is not sent again: aiohttp repeats PUT, GET and the like after a broken connection."""
        return self.sent

    def take_back(self) -> None:
        """Give up. What is still here of the request never leaves, and nobody acts on the beginning of one."""
        if self._transport and self._transport.get_write_buffer_size():
            self._transport.abort()
            self._transport = None

    async def write(self, writer: Any) -> None:
        """Give the request to the connection (aiohttp). Its headers wait for the first bytes of the body."""
        if writer.protocol.should_close or not writer.protocol.is_connected():
            raise aiohttp.ServerDisconnectedError
        self._transport = writer.transport
        await writer.write(self._value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The body as text (aiohttp)."""
        return str(self._value, encoding, errors)


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

    def turn(self, message: MessageT) -> AbstractAsyncContextManager[Any]:
        """What a message waits for, and holds while it is handed over: a place among the requests in flight.

        `NoTurn` where it has waited long enough.
        """
        return self._room

    def session(self) -> Mapping[str, Any]:
        """What the session is opened with besides what every one is: its connector, or a proxy too."""
        return {
            "connector": self._connector
            or aiohttp.TCPConnector(limit=self._connections, ssl=self._tls or True, keepalive_timeout=IDLE_S)
        }

    async def content(self, response: aiohttp.ClientResponse) -> bytes:
        """An answer's body, at most 64 KiB of it. What it raises leaves the hand-over ambiguous."""
        content = await response.content.read(ANSWER_MAX)
        while len(content) < ANSWER_MAX and (more := await response.content.read(ANSWER_MAX - len(content))):
            content += more
        return content

    def broken(self, message: MessageT, error: Exception, *, sent: bool) -> Outcome:
        """What it means that a call met this error; `sent`: the provider may have its request."""
        kind = type(error).__name__
        usual = isinstance(error, aiohttp.ClientError | TimeoutError | OSError)
        if not usual or isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
            log.error("message_not_sent", provider=self.name, delivery=message.delivery_id, exc_info=not usual)
            detail = f"{'not understood' if sent else 'not sent'}: {kind}"
            return Ambiguous(detail=detail) if sent else PermanentFailure(reason=Reason.INTERNAL, detail=detail)
        if sent:
            return Ambiguous(detail=f"no answer: {kind}")
        untrusted = isinstance(error, aiohttp.ClientSSLError | ssl.SSLError)
        reason = Reason.PROVIDER_CREDENTIALS if untrusted else Reason.PROVIDER_UNREACHABLE
        if not self._troubled:
            log.warning("provider_not_reached", provider=self.name, reason=reason.value, error=kind)
            self._troubled = True
        return TransientFailure(reason=reason, detail=f"no connection: {kind}")

    def probe(self) -> Request | None:
        """A request that changes nothing and tells whether messages would be taken; None where there is none."""
        return None

    async def check(self) -> Found:
        """Find out whether messages could be handed over now. See `Channel.check`."""
        if self._closed:
            return Found(False, "the channel is closed")
        try:
            request = self.probe()
            if request is None:
                return Found(True, "ready; there is nothing to connect to before there is a message")
            return self.found(await self._ask(request, self._body(request)))
        except Exception as error:  # whatever it meets is what it found
            return unreached(error)

    def found(self, answer: Answer) -> Found:
        """What the answer to `probe` says."""
        if answer.status in (401, 403):
            return Found(False, f"it does not take our credentials: HTTP {answer.status}")
        return Found(answer.status < 500, f"it answers: HTTP {answer.status}")

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
        try:
            async with self.turn(message):
                outcome = await self._attempt(call, index, message)
        except NoTurn as error:
            outcome = error.outcome
        call.outcomes[index] = outcome
        return outcome

    async def _attempt(self, call: _Call, index: int, message: MessageT) -> Outcome:
        if message.deadline_s <= time.monotonic():
            return _LATE
        body: Body | None = None
        try:
            request = await self.request(message)
            if not isinstance(request, Request):
                return request
            if message.deadline_s <= time.monotonic():
                return _LATE
            body = self._body(request)
            answer = await self._ask(request, body)
            self._troubled = False
            return self.outcome(message, answer)
        except asyncio.CancelledError:
            if _arrives(body):
                call.outcomes[index] = Ambiguous(detail="cut off by the shutdown")
            raise
        except Exception as error:  # whatever a call meets is its outcome
            return self.broken(message, error, sent=_arrives(body))

    def _body(self, request: Request) -> Body:
        return Body(request.body)

    async def _ask(self, request: Request, body: Body) -> Answer:
        session = self._session = self._session or self._open()
        async with session.request(
            request.method,
            request.url,
            data=body,
            headers=request.headers,
            proxy_headers=request.proxy_headers,
            allow_redirects=False,
        ) as response:
            if not body.sent:  # it answers something else
                response.close()
                raise aiohttp.ServerDisconnectedError
            return Answer(status=response.status, headers=response.headers, body=await self.content(response))

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            **self.session(),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=["Content-Type"],
            headers=_HEADERS,
        )


def unreached(error: Exception) -> Found:
    """What it means to whoever set a provider up that a look at it met this error."""
    kind = type(error).__name__
    untrusted = isinstance(error, aiohttp.ClientSSLError | ssl.SSLError)
    return Found(False, f"its certificate is not trusted: {kind}" if untrusted else f"no answer: {kind}")


class NoTurn(Exception):
    """A message has waited long enough for its turn."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


class _Call:
    """One call of `send`: its outcomes so far."""

    def __init__(self, size: int) -> None:
        self.outcomes: list[Outcome | None] = [None] * size


def _arrives(body: Body | None) -> bool:
    """Whether the server may have, or get, the request of a call that is given up."""
    if body is None:
        return False
    body.take_back()
    return body.sent
