"""Providers of text messages over HTTP that a configuration describes."""

from __future__ import annotations

import base64
import math
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from clarion_core.configuration.http_sms import SECRET_PREFIX, AuthPart, FailurePart, HttpSmsPart, SuccessPart
from clarion_core.configuration.placeholders import Value, prepared
from clarion_core.domain.delivery import Reason
from clarion_core.domain.error_class import RETRYABLE
from clarion_core.domain.medium import Medium
from clarion_core.domain.outcome import AddressFact, Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_core.pointer import look
from clarion_workers.channels import Channel
from clarion_workers.channels.answers import refused, said
from clarion_workers.channels.http import Answer, HttpChannel, Request
from clarion_workers.channels.kind import Opening, ProviderKind, Supports
from clarion_workers.channels.sms.message import SmsMessage
from clarion_workers.channels.sms.senders import from_senders

_FACTS = {"unsubscribed": AddressFact.UNSUBSCRIBED, "gone": AddressFact.HARD_BOUNCE}


class GenericSmsChannel(HttpChannel[SmsMessage]):
    """A `Channel` to a provider as it is described. `secrets` are the named ones, `known` the header that is auth."""

    name = "http"

    def __init__(
        self,
        part: HttpSmsPart,
        *,
        secrets: Mapping[str, str],
        known: Mapping[str, str],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(connections=part.connections, timeout_s=part.timeout_s, tls=tls)
        self._part, self._known = part, known
        self._secrets: dict[str, Value] = {SECRET_PREFIX + name: secret for name, secret in secrets.items()}
        self._fill_headers, self._fill_query = prepared(part.headers), prepared(part.query)
        self._fill_body, self._fill_form = prepared(part.body), prepared(part.form)
        self._type = _content_type(part)

    def probe(self) -> Request:
        """Whether somebody answers there: what the provider tells of itself is not described."""
        return Request(method="HEAD", url=self._part.url, body=b"", headers=self._known)

    async def request(self, message: SmsMessage) -> Request:
        """The request for this message, as the configuration describes it."""
        part, values = self._part, self._values(message)
        described = {name: str(value) for name, value in self._fill_headers(values).items()}
        headers = {**self._type, **described, **self._known}
        if part.idempotency_header:
            headers[part.idempotency_header] = message.delivery_id
        query = f"?{_form(self._fill_query(values))}" if part.query else ""
        body = b""
        if part.body is not None:
            body = msgspec.json.encode(self._fill_body(values))
        elif part.form is not None:
            body = _form(self._fill_form(values)).encode()
        return Request(url=part.url + query, body=body, headers=headers, method=part.method)

    def outcome(self, message: SmsMessage, answer: Answer) -> Outcome:
        """What the answer means by the configuration's rules, or else by its status."""
        part, told = self._part, answer.json()
        detail = said(answer, look(told, part.detail_at) if part.detail_at else "")
        if _fits(part.success, answer.status, told):
            given = _plain(look(told, part.id_at)) if part.id_at else ""
            return Sent(detail=detail, provider_id=given, receipts_by_id=part.receipts_by_id)
        for rule in part.failures:
            if _fits(rule, answer.status, told):
                return _failure(rule, answer, detail)
        if 200 <= answer.status < 300:  # it was not expected to say so
            return Ambiguous(detail=detail)
        return refused(answer, detail)

    def _values(self, message: SmsMessage) -> dict[str, Value]:
        ttl_s = self._part.max_ttl_s
        if message.deadline_s < math.inf:
            ttl_s = max(1, min(int(message.deadline_s - time.monotonic()), ttl_s))
        return {
            "to": message.to_number,
            "to_digits": message.to_number.removeprefix("+"),
            "from": message.sender,
            "text": message.text,
            "delivery_id": message.delivery_id,
            "segments": message.segments,
            "ttl_s": ttl_s,
            "expire_time": datetime.fromtimestamp(time.time() + ttl_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            **self._secrets,
        }


def _fits(rule: SuccessPart | FailurePart, status: int, told: Any) -> bool:
    if rule.status is not None and status not in rule.status:
        return False
    return rule.values is None or _plain(look(told, rule.at)) in map(_plain, rule.values)


def _failure(rule: FailurePart, answer: Answer, detail: str) -> Outcome:
    reason = Reason(rule.reason)
    if reason is Reason.HANDOVER_UNKNOWN:
        return Ambiguous(detail=detail)
    if reason in RETRYABLE:
        return TransientFailure(reason=reason, detail=detail, retry_after_s=answer.retry_after_s())
    return PermanentFailure(reason=reason, detail=detail, address_fact=_FACTS.get(rule.address or ""))


def _plain(value: Any) -> str:
    """A value of JSON as text, so that 0 and "0" are one: providers change their minds on this."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""


def _form(fields: Mapping[str, Any]) -> str:
    pairs = [(name, each) for name, value in fields.items() for each in (value if isinstance(value, list) else [value])]
    return urlencode([(name, _plain(each)) for name, each in pairs])


def _content_type(part: HttpSmsPart) -> dict[str, str]:
    if any(name.lower() == "content-type" for name in part.headers):
        return {}
    if part.body is not None:
        return {"Content-Type": "application/json"}
    return {"Content-Type": "application/x-www-form-urlencoded"} if part.form is not None else {}


def _known(auth: AuthPart | None, opening: Opening) -> dict[str, str]:
    if auth is None:
        return {}
    if auth.basic:
        pair = f"{auth.basic.username}:{opening.secret(auth.basic.password)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    if auth.bearer:
        return {"Authorization": f"Bearer {opening.secret(auth.bearer).strip()}"}
    assert auth.header
    return {auth.header.name: f"{auth.header.prefix}{opening.secret(auth.header.secret).strip()}"}


def described(part: HttpSmsPart, opening: Opening) -> GenericSmsChannel:
    """The channel to a provider as its part of the configuration describes it."""
    return GenericSmsChannel(
        part,
        secrets={each.name: opening.secret(each.secret) for each in part.secrets},
        known=_known(part.auth, opening),
        tls=ssl.create_default_context(cafile=part.ca_file) if part.ca_file else None,
    )


def _open(part: HttpSmsPart, opening: Opening) -> Channel[SmsMessage]:
    return from_senders(described(part, opening), opening)


HTTP = ProviderKind(
    title="Any other over HTTP",
    medium=Medium.SMS,
    open=_open,
    supports=Supports(
        idempotency_key="`idempotency_header`, where the provider has one",
        provider_id="`id_at`",
        expiry="`{{ttl_s}}` or `{{expire_time}}`",
        retry_after="`Retry-After`",
        receipts="`{{delivery_id}}` in what the provider calls back with",
    ),
    notes="Described by configuration: [generic-http.md](generic-http.md), shown with Infobip and Sinch.",
)
