"""Apple Push Notification service, over HTTP/2 with a token ("Sending notification requests to APNs")."""

from __future__ import annotations

import hashlib
import re
import ssl
import time
import uuid

import msgspec
from hpack import HeaderTuple, NeverIndexedHeaderTuple

from clarion_core.configuration.apns import ApnsPart
from clarion_core.domain.delivery import Reason
from clarion_core.domain.error_class import ERROR_CLASSES, ErrorClass
from clarion_core.domain.medium import Medium
from clarion_core.domain.outcome import Outcome, PermanentFailure, TransientFailure
from clarion_core.push import apns
from clarion_core.push.limits import COLLAPSE_ID_MAX, problems
from clarion_core.push.notification import replaces
from clarion_workers.channels import Found
from clarion_workers.channels.http import Answer, Body, HttpChannel, Request
from clarion_workers.channels.kind import Opening, ProviderKind, Supports
from clarion_workers.channels.push.apns_answers import EXPIRED_TOKEN, outcome_of, reason_of
from clarion_workers.channels.push.message import PushMessage
from clarion_workers.channels.push.pool import Pool
from clarion_workers.channels.push.provider_token import ProviderToken
from clarion_workers.channels.push.stream_body import StreamBody

DELIVERIES = uuid.UUID("0c5ff8d1-6b0b-5c06-9d1c-6a5f2f0b9c3e")
"""The namespace of `apns-id`s: the same delivery has the same one in every attempt."""

_NO_DEVICE = "0" * 8
_DEVICE = re.compile(r"[0-9A-Fa-f]{16,400}")  # "it can vary in size"; hexadecimal, since it is part of the path


class ApnsChannel(HttpChannel[PushMessage]):
    """A `Channel` to an app, as its team. `in_flight` bounds the requests without an answer."""

    name = "apns"

    def __init__(
        self,
        token: ProviderToken,
        *,
        topic: str,
        url: str,
        tls: ssl.SSLContext,
        connections: int,
        in_flight: int,
        timeout_s: float,
    ) -> None:
        super().__init__(connections=in_flight, timeout_s=timeout_s)
        tls.set_alpn_protocols(["h2"])
        self._pool = Pool(url, tls, connections=connections, timeout_s=timeout_s)
        self._token, self._topic = token, topic

    async def request(self, message: PushMessage) -> Request | PermanentFailure | TransientFailure:
        """The request for this message."""
        if not _DEVICE.fullmatch(message.token):
            return PermanentFailure(reason=Reason.RECIPIENT_REFUSED, detail="the device's token is not hexadecimal")
        body = msgspec.json.encode(apns.payload(message))
        if found := problems(Medium.APNS, message, len(body)):
            field, words = found[0]
            return PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail=f"{field} {words}".strip())
        return Request(url=f"/3/device/{message.token}", body=body, headers=self._headers(message))

    def outcome(self, message: PushMessage, answer: Answer) -> Outcome:
        """What APNs' answer means."""
        return outcome_of(answer)

    def probe(self) -> Request:
        """A notification of nothing, to a token that no device can have, since it is too short for one."""
        headers = {
            "apns-id": str(uuid.uuid4()),
            "apns-push-type": "background",
            "apns-priority": "5",
            "apns-topic": self._topic,
            "apns-expiration": "0",
        }
        body = msgspec.json.encode({"aps": {"content-available": 1}})
        return Request(url=f"/3/device/{_NO_DEVICE}", body=body, headers=headers)

    def found(self, answer: Answer) -> Found:
        """That there is no such device is told to whoever is known and may send to the topic."""
        outcome = outcome_of(answer)
        about_it = isinstance(outcome, PermanentFailure) and ERROR_CLASSES[outcome.reason] is ErrorClass.RECIPIENT
        return Found(True, "our token is taken") if about_it else Found(False, f"it refuses us: {outcome.detail}")

    async def close(self) -> None:
        """Let go of kept connections; nothing is being sent when it is called."""
        await super().close()
        await self._pool.close()

    def _headers(self, message: PushMessage) -> dict[str, str]:
        headers = {
            "apns-id": str(uuid.uuid5(DELIVERIES, message.delivery_id)),
            "apns-push-type": "background" if message.silent else "alert",
            "apns-priority": "10" if message.priority == "high" and not message.silent else "5",
            "apns-topic": self._topic,
        }
        lifetime_s = message.lifetime_s(time.monotonic())
        if lifetime_s is not None:  # 0: it is tried once and not kept
            headers["apns-expiration"] = str(int(time.time()) + lifetime_s if lifetime_s else 0)
        if not message.silent:
            headers["apns-collapse-id"] = _collapse_id(replaces(message))
        return headers

    def _body(self, request: Request) -> Body:
        return StreamBody(request.body)

    async def _ask(self, request: Request, body: Body) -> Answer:
        assert isinstance(body, StreamBody)
        token = self._token.get()
        answer = await self._asked(request, token, body)
        if reason_of(answer) == EXPIRED_TOKEN and self._token.renew(token):
            body.handed = False  # the first one is known to have had no effect
            answer = await self._asked(request, self._token.get(), body)
        return answer

    async def _asked(self, request: Request, token: str, body: StreamBody) -> Answer:
        headers = [
            HeaderTuple(":method", "POST"),
            HeaderTuple(":scheme", "https"),
            HeaderTuple(":authority", self._pool.authority),
            NeverIndexedHeaderTuple(":path", request.url),
            HeaderTuple("authorization", f"bearer {token}"),
        ]
        for name, value in request.headers.items():
            headers.append((HeaderTuple if name in _REPEATED else NeverIndexedHeaderTuple)(name, value))
        return await self._pool.request(headers, body)


_REPEATED = ("apns-push-type", "apns-priority", "apns-topic")  # worth a place in the table of HPACK


def _collapse_id(text: str) -> str:
    """The text, where it fits and can be a header; else its digest."""
    if len(text) <= COLLAPSE_ID_MAX and text.isascii() and text.isprintable() and text == text.strip():
        return text
    return hashlib.sha256(text.encode()).hexdigest()


def _open(part: ApnsPart, opening: Opening) -> ApnsChannel:
    return ApnsChannel(
        ProviderToken(opening.secret(part.key), key_id=part.key_id, team_id=part.team_id),
        topic=part.topic,
        url=part.server,
        tls=ssl.create_default_context(cafile=part.ca_file),
        connections=part.connections,
        in_flight=part.in_flight,
        timeout_s=part.timeout_s,
    )


APNS = ProviderKind(
    title="Apple Push Notification service",
    medium=Medium.APNS,
    open=_open,
    supports=Supports(
        idempotency_key="the delivery's id as `apns-collapse-id`: a second copy takes the first one's place",
        provider_id="`apns-id`, a UUID made of the delivery's id",
        expiry="`apns-expiration`",
        attachments="a picture's link, for the app's extension",
    ),
    notes="HTTP/2 with a team's key. A token that is Unregistered ends as DEVICE_GONE.",
)
