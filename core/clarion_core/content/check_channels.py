"""What is wrong with each channel's content, apart from its templates: pairs of a field and what would be right."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import msgspec

from clarion_core.addresses import parse_mailbox
from clarion_core.content import check_email_extras, check_push
from clarion_core.content.types import BODY, HTML, SMS, SUBJECT
from clarion_core.domain.content import (
    MAX_BODY_BYTES,
    MAX_BODY_DEPTH,
    Content,
    EmailContent,
    PushContent,
    SmsContent,
    WebhookContent,
)
from clarion_core.urls import read_url

Problem = tuple[str, str]

# Letters make it a name: GSM 03.40 §9.1.2.5 has room for 11 of 7 bits. Digits alone are a short code.
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|(?=.*[A-Za-z0-9])[A-Za-z0-9 &._-]{1,11}", re.ASCII)


def problems(content: Content) -> Iterator[Problem]:
    """What is wrong with a content."""
    match content:
        case EmailContent():
            yield from _email(content)
        case SmsContent():
            yield from _sms(content)
        case PushContent():
            yield from check_push.problems(content)
        case WebhookContent():
            yield from _webhook(content)


def _email(email: EmailContent) -> Iterator[Problem]:
    for name, mailbox in (("from", email.sender), ("reply_to", email.reply_to)):  # or the configuration has them
        if not mailbox:
            continue
        try:
            parse_mailbox(mailbox)
        except ValueError as error:
            yield f"email.{name}", str(error)
    if not email.subject.strip():
        yield SUBJECT, "is required"
    if not email.html.strip() and not email.text.strip():
        yield HTML, "one of html and text is required"
    yield from check_email_extras.problems(email)


def _sms(sms: SmsContent) -> Iterator[Problem]:
    if sms.sender and not _SENDER.fullmatch(sms.sender):
        yield (
            "sms.sender",
            "must be a number like +491511234567, or a short code or name: at most 11 letters, digits, blanks or &._-",
        )
    if not sms.text.strip():
        yield SMS, "is required"


def _webhook(webhook: WebhookContent) -> Iterator[Problem]:
    if webhook.url:
        try:
            read_url(webhook.url)
        except ValueError as error:
            yield "webhook.url", str(error)
    if (size := len(msgspec.json.encode(webhook.body))) > MAX_BODY_BYTES:
        yield BODY, f"has {size:,} bytes as JSON; it can have {MAX_BODY_BYTES:,}"
    if not _is_finite(webhook.body):
        yield BODY, "has a number that JSON can't write: infinity, or none at all"
    if _depth(webhook.body) > MAX_BODY_DEPTH:
        yield BODY, f"has more than {MAX_BODY_DEPTH} levels"


def _is_finite(document: object) -> bool:
    if isinstance(document, dict):
        return all(map(_is_finite, document.values()))
    if isinstance(document, list):
        return all(map(_is_finite, document))
    return not isinstance(document, float) or math.isfinite(document)


def _depth(document: object) -> int:
    if isinstance(document, dict):
        return 1 + max(map(_depth, document.values()), default=0)
    if isinstance(document, list):
        return 1 + max(map(_depth, document), default=0)
    return 0
