"""Web Push (RFC 8030): each message goes to the endpoint that a browser named, encrypted to it and signed by us."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from clarion_core.configuration.egress import EgressPart
from clarion_core.configuration.webpush import SERVICES, WebPushPart
from clarion_core.domain.delivery import Reason
from clarion_core.domain.medium import Medium
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_core.push import web
from clarion_core.push.fcm import TTL_MAX_S
from clarion_core.push.limits import problems
from clarion_core.push.notification import replaces
from clarion_workers.channels.guard import Guard
from clarion_workers.channels.http import IDLE_S, Answer, HttpChannel, Request
from clarion_workers.channels.kind import Opening, ProviderKind, Supports
from clarion_workers.channels.push.encryption import encrypted
from clarion_workers.channels.push.message import PushMessage
from clarion_workers.channels.push.subscription import Unusable, target
from clarion_workers.channels.push.vapid import Vapid

_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")  # RFC 8030 §5.4


class WebPushChannel(HttpChannel[PushMessage]):
    """A `Channel` to browsers, through the push services that their subscriptions name and `services` allows."""

    name = "webpush"

    def __init__(
        self,
        vapid: Vapid,
        *,
        services: Sequence[str] = SERVICES,
        connections: int,
        timeout_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(connections=connections, timeout_s=timeout_s, tls=tls)
        self._vapid, self._services = vapid, services
        self._guard = Guard(EgressPart(origins=[f"https://{each}" for each in services if "*" not in each]))

    async def request(self, message: PushMessage) -> Request | PermanentFailure | TransientFailure:
        """The request for this message, encrypted anew."""
        payload = msgspec.json.encode(web.payload(message))
        if found := problems(Medium.WEB_PUSH, message, len(payload)):
            field, words = found[0]
            return PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail=f"{field} {words}".strip())
        try:
            to = target(message.token, self._services, self._guard)
        except Unusable as unusable:
            return PermanentFailure(reason=Reason.RECIPIENT_REFUSED, detail=f"the device's token: {unusable}")
        lifetime_s = message.lifetime_s(time.monotonic())
        headers = {
            "Authorization": self._vapid.authorization(to.origin),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(TTL_MAX_S if lifetime_s is None else min(lifetime_s, TTL_MAX_S)),
            "Urgency": message.priority,
            "Topic": _topic(replaces(message)),
        }
        return Request(url=to.endpoint, body=encrypted(payload, to.keys), headers=headers)

    async def close(self) -> None:
        """Let go of kept connections; nothing is being sent when it is called."""
        await super().close()
        self._guard.close()

    def session(self) -> Mapping[str, Any]:
        """The guard's connector."""
        return self._guard.session(tls=self._tls or True, connections=self._connections, idle_s=IDLE_S)

    def outcome(self, message: PushMessage, answer: Answer) -> Outcome:
        """What a push service's answer means (RFC 8030 §5, §7; RFC 8292 §4.2)."""
        detail = str(answer.status)
        match answer.status:
            case 200 | 201 | 202:
                return Sent(detail=detail, provider_id=answer.headers.get("Location", ""))
            case 404 | 410:
                return PermanentFailure(reason=Reason.DEVICE_GONE, detail=detail)
            case 401 | 403:
                return TransientFailure(reason=Reason.PROVIDER_CREDENTIALS, detail=detail)
            case (
                502 | 504
            ):  # a gateway had no answer in time, or none that it understood: nobody knows what became of it
                return Ambiguous(detail=detail)
            case status if 400 <= status < 429:
                return PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail=detail)
        return TransientFailure(reason=Reason.PROVIDER_DEFERRED, detail=detail, retry_after_s=answer.retry_after_s())


def _topic(text: str) -> str:
    """A later message of the same topic takes the place of one that the push service still has."""
    if _TOPIC.fullmatch(text):
        return text
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:24]).decode()


def _open(part: WebPushPart, opening: Opening) -> WebPushChannel:
    return WebPushChannel(
        Vapid(opening.secret(part.key), subject=part.subject),
        services=part.services,
        connections=part.connections,
        timeout_s=part.timeout_s,
        tls=ssl.create_default_context(cafile=part.ca_file) if part.ca_file else None,
    )


WEB_PUSH = ProviderKind(
    title="Web Push",
    medium=Medium.WEB_PUSH,
    open=_open,
    supports=Supports(
        idempotency_key="the delivery's id as `Topic` and as tag: a second copy takes the first one's place",
        provider_id="the message's `Location`",
        expiry="`TTL`",
        retry_after="`Retry-After`",
        attachments="a picture's link",
    ),
    notes="RFC 8030, encrypted (RFC 8291) and identified by VAPID (RFC 8292). 404 and 410 end as DEVICE_GONE.",
)
