"""Amazon SNS: envelopes, signed (SNS Developer Guide, "Parsing message formats" and "Verifying the signatures")."""

from __future__ import annotations

import base64
import binascii
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from clarion_core import logs
from clarion_edge import ses
from clarion_edge.certificates import Certificates
from clarion_edge.receipt import Forged, Malformed, Request, Told

CONFIRMATION = "SubscriptionConfirmation"
_NOTIFICATION_SIGNS = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION_SIGNS = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")

log = logs.get(__name__)


class Envelope(msgspec.Struct, rename="pascal"):
    """What SNS posts."""

    type: Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"]
    message_id: str
    topic_arn: str
    message: str
    timestamp: str
    signature: str
    signature_version: str
    signing_cert_url: str = msgspec.field(name="SigningCertURL")
    subject: str | None = None
    token: str | None = None
    subscribe_url: str | None = msgspec.field(name="SubscribeURL", default=None)

    def signed(self) -> bytes:
        """The text that the signature is of; what is absent is left out."""
        values = {
            "Message": self.message,
            "MessageId": self.message_id,
            "Subject": self.subject,
            "SubscribeURL": self.subscribe_url,
            "Timestamp": self.timestamp,
            "Token": self.token,
            "TopicArn": self.topic_arn,
            "Type": self.type,
        }
        names = _NOTIFICATION_SIGNS if self.type == "Notification" else _CONFIRMATION_SIGNS
        told = [(name, values[name]) for name in names]
        return "".join(f"{name}\n{value}\n" for name, value in told if value is not None).encode(errors="replace")


class SnsSource:
    """Takes what SNS posts of topics that it knows, and has them post it."""

    def __init__(self, name: str, topics: frozenset[str], certificates: Certificates) -> None:
        self._name, self._topics, self._certificates = name, topics, certificates

    async def read(self, request: Request) -> Told:
        """What a notification of SES tells. `Forged`, `Malformed`, and `Unfetched` while Amazon does not answer."""
        try:
            envelope = _decode(request.body)
        except msgspec.ValidationError:
            raise Malformed("no envelope of SNS") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("no JSON") from None
        if envelope.topic_arn not in self._topics:
            raise Forged("a topic that is not configured")
        await self._verify(envelope)
        if envelope.type == CONFIRMATION:
            await self._certificates.confirm(envelope.subscribe_url or "")
            log.info("subscription_confirmed", source=self._name, topic=envelope.topic_arn)
        return ses.receipts(envelope.message, provider=self._name) if envelope.type == "Notification" else ()

    async def close(self) -> None:
        """Let go of connections."""
        await self._certificates.close()

    async def _verify(self, envelope: Envelope) -> None:
        digest = {"1": SHA1(), "2": SHA256()}.get(envelope.signature_version)  # noqa: S303 - what SNS signs with
        if digest is None:
            raise Forged("a signature of an unknown version")
        try:
            signature = base64.b64decode(envelope.signature, validate=True)
        except (binascii.Error, ValueError):
            raise Forged("a signature that is none") from None
        key = await self._certificates.key(envelope.signing_cert_url)
        try:
            key.verify(signature, envelope.signed(), PKCS1v15(), digest)
        except InvalidSignature:
            raise Forged("a signature that does not fit") from None


_decode = msgspec.json.Decoder(Envelope).decode
