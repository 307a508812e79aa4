"""Calls of endpoints over HTTPS: guarded, signed, bounded at each endpoint, and their answers read for the status."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
from yarl import URL

from clarion_core import logs
from clarion_core.configuration.webhook import WebhookPart
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Outcome, PermanentFailure, TransientFailure
from clarion_core.urls import read_url
from clarion_workers.channels.guard import Guard
from clarion_workers.channels.http import IDLE_S, Answer, HttpChannel, Request
from clarion_workers.channels.webhook.answers import meaning, meaning_of
from clarion_workers.channels.webhook.endpoints import Endpoints
from clarion_workers.channels.webhook.message import WebhookMessage
from clarion_workers.channels.webhook.signing import Signers

_UNSIGNED = PermanentFailure(
    reason=Reason.ENDPOINT_FORBIDDEN, detail="may not be called: the channel configuration has no secret for it"
)

log = logs.get(__name__)


class WebhookChannel(HttpChannel[WebhookMessage]):
    """Calls endpoints. The delivery's id is the `webhook-id` of every attempt: a consumer knows a repetition by it."""

    name = "webhook"

    def __init__(self, part: WebhookPart, *, guard: Guard, signers: Signers, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(connections=part.connections, timeout_s=part.timeout_s, tls=tls)
        self._guard, self._signers, self._max_bytes = guard, signers, part.max_bytes
        self._endpoints = Endpoints(part.endpoint_connections, part.timeout_s)

    async def request(self, message: WebhookMessage) -> Request | PermanentFailure | TransientFailure:
        """What to call: `Forbidden` where it may not be."""
        url = self._guard.admit(message.url)
        if len(message.body) > self._max_bytes:
            detail = f"the document has {len(message.body)} bytes, which is more than {self._max_bytes}"
            return PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail=detail)
        signer = self._signers.of(url)
        if signer is None:
            return _UNSIGNED
        timestamp = int(time.time())
        return Request(
            url=URL(url.text, encoded=True),  # as it was read: nothing is unquoted or quoted anew
            body=message.body,
            headers={
                "Content-Type": "application/json",
                "webhook-id": message.delivery_id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": signer.signature(message.delivery_id, timestamp, message.body),
            },
            proxy_headers=self._guard.proxy_headers,
        )

    def outcome(self, message: WebhookMessage, answer: Answer) -> Outcome:
        """What the endpoint's status means."""
        return meaning(answer)

    def broken(self, message: WebhookMessage, error: Exception, *, sent: bool) -> Outcome:
        """What an error means: most are the endpoint's, and nobody's trouble but its own."""
        outcome = meaning_of(error, sent=sent)
        if outcome is None:
            return super().broken(message, error, sent=sent)
        kind = type(error).__name__
        reason = getattr(outcome, "reason", Reason.HANDOVER_UNKNOWN).value
        log.info("endpoint_not_called", delivery=message.delivery_id, reason=reason, error=kind)
        return outcome

    def turn(self, message: WebhookMessage) -> AbstractAsyncContextManager[Any]:
        """A place at the endpoint, then one among all calls: who waits for a slow endpoint takes no other's place."""
        try:
            origin = read_url(message.url).origin
        except ValueError:
            return self._room
        return self._endpoints.turn(origin, self._room)

    def session(self) -> Mapping[str, Any]:
        """The guard's connector, or its proxy."""
        return self._guard.session(tls=self._tls or True, connections=self._connections, idle_s=IDLE_S)

    async def content(self, response: aiohttp.ClientResponse) -> bytes:
        """Read to keep the connection, and for nothing else: the status came before it, and says all."""
        try:
            return await super().content(response)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return b""

    async def close(self) -> None:
        """Let go of kept connections; nothing is being sent when it is called."""
        await super().close()
        self._guard.close()
