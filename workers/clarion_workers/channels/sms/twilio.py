"""Twilio's Programmable Messaging (twilio.com/docs/messaging/api/message-resource, …/docs/api/errors)."""

from __future__ import annotations

import base64
import math
import ssl
import time
from collections.abc import Mapping
from urllib.parse import urlencode

from clarion_core.configuration.twilio import TwilioPart
from clarion_core.domain.delivery import Reason
from clarion_core.domain.error_class import RETRYABLE
from clarion_core.domain.medium import Medium
from clarion_core.domain.outcome import AddressFact, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels import Channel, Found
from clarion_workers.channels.answers import refused, said
from clarion_workers.channels.http import Answer, HttpChannel, Request
from clarion_workers.channels.kind import Opening, ProviderKind, Supports
from clarion_workers.channels.sms.message import SmsMessage
from clarion_workers.channels.sms.senders import from_senders

VALIDITY_MAX_S = 36_000
"""The longest that Twilio keeps a message for a network that does not take it, and what it does by itself."""
OPTED_OUT = 21610

# Whatever else there is, the status tells: Twilio asks not to hang on codes, and adds to them.
REASONS: Mapping[int, Reason] = {
    **dict.fromkeys((21211, 21214, 21217, 21265, 21614, 21635, OPTED_OUT), Reason.RECIPIENT_REFUSED),
    **dict.fromkeys((21602, 21605, 21617, 21619), Reason.MESSAGE_REFUSED),
    # It does not go there (21408, 21612), to nobody but verified numbers (21608), or not from this sender.
    **dict.fromkeys((21212, 21408, 21606, 21608, 21612, 21659, 21660, 21661), Reason.PROVIDER_UNSUPPORTED),
    **dict.fromkeys((10001, 20003, 20005, 20404, 21701, 21703, 21705, 90010), Reason.PROVIDER_CREDENTIALS),
    **dict.fromkeys((14107, 20429, 21611, 63038), Reason.PROVIDER_DEFERRED),
}

FACTS: Mapping[int, AddressFact] = {
    **dict.fromkeys((21211, 21217, 21614, 21635), AddressFact.HARD_BOUNCE),  # it is no number, or no mobile phone's
    OPTED_OUT: AddressFact.UNSUBSCRIBED,
}


class TwilioChannel(HttpChannel[SmsMessage]):
    """A `Channel` to an account of Twilio's."""

    name = "twilio"

    def __init__(self, part: TwilioPart, secret: str, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(connections=part.connections, timeout_s=part.timeout_s, tls=tls)
        self._url = f"{part.url}/2010-04-01/Accounts/{part.account_sid}/Messages.json"
        self._account = f"{part.url}/2010-04-01/Accounts/{part.account_sid}.json"
        self._service, self._callback = part.messaging_service_sid, part.status_callback
        known = base64.b64encode(f"{part.api_key or part.account_sid}:{secret}".encode()).decode()
        self._headers = {"Authorization": f"Basic {known}", "Content-Type": "application/x-www-form-urlencoded"}

    def probe(self) -> Request:
        """Twilio tells of an account to whoever may use it."""
        return Request(method="GET", url=self._account, body=b"", headers=self._headers)

    def found(self, answer: Answer) -> Found:
        """An account that is there and active takes messages."""
        told = answer.json()
        told = told if isinstance(told, dict) else {}
        if answer.status != 200:
            return Found(False, f"it refuses us: {said(answer, told.get('code'), told.get('message'))}")
        state = str(told.get("status", ""))
        return Found(state == "active", f"our credentials are taken; the account is {state or 'in no known state'}")

    async def request(self, message: SmsMessage) -> Request:
        """The request for this message. Twilio has no idempotency key: a second one is a second message."""
        asked = {"To": message.to_number, "Body": message.text}
        if self._service:
            asked["MessagingServiceSid"] = self._service
        else:
            asked["From"] = message.sender
        if self._callback:
            asked["StatusCallback"] = f"{self._callback}?{urlencode({'delivery': message.delivery_id})}"
        if message.deadline_s < math.inf:
            left_s = int(message.deadline_s - time.monotonic())
            asked["ValidityPeriod"] = str(max(1, min(left_s, VALIDITY_MAX_S)))
        return Request(url=self._url, body=urlencode(asked).encode(), headers=self._headers)

    def outcome(self, message: SmsMessage, answer: Answer) -> Outcome:
        """What Twilio's answer means."""
        told = answer.json()
        told = told if isinstance(told, dict) else {}
        if 200 <= answer.status < 300:
            # A messaging service may have a callback of its own, which does not know of deliveries.
            by_id = bool(self._service and not self._callback)
            sid = str(told.get("sid") or "")
            return Sent(detail=said(answer, told.get("status")), provider_id=sid, receipts_by_id=by_id)
        detail = said(answer, told.get("code"), told.get("message"))
        code = told["code"] if isinstance(told.get("code"), int) and answer.status < 500 else 0
        reason = REASONS.get(code)
        if reason is None:
            return refused(answer, detail)
        if reason in RETRYABLE:
            return TransientFailure(reason=reason, detail=detail, retry_after_s=answer.retry_after_s())
        return PermanentFailure(reason=reason, detail=detail, address_fact=FACTS.get(code))


def _open(part: TwilioPart, opening: Opening) -> Channel[SmsMessage]:
    tls = ssl.create_default_context(cafile=part.ca_file) if part.ca_file else None
    return from_senders(TwilioChannel(part, opening.secret(part.secret), tls), opening)


TWILIO = ProviderKind(
    title="Twilio",
    medium=Medium.SMS,
    open=_open,
    supports=Supports(
        provider_id="the message's SID",
        expiry="`ValidityPeriod`, up to 10 hours",
        retry_after="`Retry-After`",
        receipts="`StatusCallback`, with the delivery's id",
    ),
    notes="No idempotency key: a message that is sent again after an ambiguous hand-over may arrive twice.",
)
