"""Amazon SES: what its events and notifications tell (SES Developer Guide, "Examples of event data", "Notification
contents").
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from clarion_core import pointer
from clarion_core.domain.bounce import BOUNCE_TYPES, BounceCategory, BounceType, of_enhanced
from clarion_core.domain.feedback import Fact, FactKind
from clarion_core.domain.ids import is_delivery_id
from clarion_edge.moments import milliseconds
from clarion_edge.receipt import Malformed, Receipt

TAG = "clarion-delivery"
"""The message tag that names the delivery."""

_OURS = "clarion-campaign"
"""A tag that all of our messages have."""

_MESSAGE_ID = re.compile(r"<?([a-z0-9]{20,40}-[0-9]{1,6})@[^>\s]+>?")
_C = BounceCategory
_SUBTYPES: Mapping[str, BounceCategory] = {
    "Permanent/General": _C.INVALID_RECIPIENT,
    "Permanent/NoEmail": _C.INVALID_RECIPIENT,
    "Permanent/Suppressed": _C.RECIPIENT_REFUSED,
    "Permanent/OnAccountSuppressionList": _C.RECIPIENT_REFUSED,
    "Permanent/UnsubscribedRecipient": _C.RECIPIENT_REFUSED,
    "Transient/General": _C.SOFT,
    "Transient/MailboxFull": _C.MAILBOX_FULL,
    "Transient/MessageTooLarge": _C.TOO_LARGE,
    "Transient/CustomTimeoutExceeded": _C.TIMEOUT,
    "Transient/ContentRejected": _C.SPAM_CONTENT,
    "Transient/AttachmentRejected": _C.GENERIC,
}
_TYPES = {"Permanent": _C.INVALID_RECIPIENT, "Transient": _C.SOFT}
_NOT_SPAM = "not-spam"  # RFC 5965 §7.3: the recipient says that it is none


def receipts(message: str, *, provider: str) -> list[Receipt]:
    """What a message of SES tells: nothing for kinds that are no facts, and where it names no delivery of ours."""
    try:
        event = msgspec.json.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError, RecursionError):
        # A topic's first message, when SES is told of it, is a sentence.
        return []
    if not isinstance(event, dict):
        raise Malformed("no event of SES")
    delivery = _delivery(event)
    fact = _fact(event, provider) if delivery else None
    return [Receipt(delivery_id=delivery, fact=fact)] if fact else []


def _delivery(event: object) -> str:
    """The tag that we gave it, or the left part of the Message-ID that it left with."""
    tagged = pointer.text(event, f"/mail/tags/{TAG}/0")
    if is_delivery_id(tagged) or pointer.look(event, f"/mail/tags/{_OURS}"):
        return tagged  # none, where it is a copy: what becomes of one is no fact of the delivery
    headers = pointer.look(event, "/mail/headers")
    ids = [
        pointer.text(header, "/value")
        for header in (headers if isinstance(headers, list) else [])
        if pointer.text(header, "/name").lower() == "message-id"
    ]
    for written in (*ids, pointer.text(event, "/mail/commonHeaders/messageId")):
        found = _MESSAGE_ID.fullmatch(written.strip())
        if found and is_delivery_id(found[1]):
            return found[1]
    return ""


def _fact(event: object, provider: str) -> Fact | None:
    kind = pointer.text(event, "/eventType") or pointer.text(event, "/notificationType")
    match kind:
        case "Delivery":
            return Fact(
                kind=FactKind.DELIVERED,
                time_ms=milliseconds(pointer.text(event, "/delivery/timestamp")),
                provider=provider,
                detail=pointer.text(event, "/delivery/smtpResponse"),
            )
        case "DeliveryDelay":
            return Fact(
                kind=FactKind.DEFERRED,
                time_ms=milliseconds(pointer.text(event, "/deliveryDelay/timestamp")),
                provider=provider,
                code=pointer.text(event, "/deliveryDelay/delayType"),
                detail=pointer.text(event, "/deliveryDelay/delayedRecipients/0/diagnosticCode"),
            )
        case "Bounce":
            return _bounce(event, provider)
        case "Complaint":
            return _complaint(event, provider)
        case "Reject":
            return _refused(event, provider, BounceCategory.SPAM_CONTENT, "Reject", "/reject/reason")
        case "Rendering Failure":
            return _refused(event, provider, BounceCategory.GENERIC, "Rendering-Failure", "/failure/errorMessage")
    return None


def _bounce(event: object, provider: str) -> Fact:
    kind, subtype = pointer.text(event, "/bounce/bounceType"), pointer.text(event, "/bounce/bounceSubType")
    said = _SUBTYPES.get(f"{kind}/{subtype}") or _TYPES.get(kind, BounceCategory.UNDETERMINED)
    known = of_enhanced(pointer.text(event, "/bounce/bouncedRecipients/0/status"))
    # Amazon saw more than the code says; the code only tells which of the bounces of its kind it is.
    same = BOUNCE_TYPES[known] is BOUNCE_TYPES[said] is not BounceType.NEUTRAL
    return Fact(
        kind=FactKind.BOUNCED,
        time_ms=milliseconds(pointer.text(event, "/bounce/timestamp")),
        provider=provider,
        category=known if same else said,
        code=f"{kind}/{subtype}",
        detail=pointer.text(event, "/bounce/bouncedRecipients/0/diagnosticCode"),
    )


def _complaint(event: object, provider: str) -> Fact | None:
    kind = pointer.text(event, "/complaint/complaintFeedbackType")
    if kind == _NOT_SPAM:
        return None
    return Fact(
        kind=FactKind.COMPLAINED,
        time_ms=milliseconds(
            pointer.text(event, "/complaint/arrivalDate") or pointer.text(event, "/complaint/timestamp")
        ),
        provider=provider,
        code=kind,
    )


def _refused(event: object, provider: str, category: BounceCategory, code: str, why: str) -> Fact:
    """SES took it and did not send it after all; it tells no time but the message's own."""
    return Fact(
        kind=FactKind.BOUNCED,
        time_ms=milliseconds(pointer.text(event, "/mail/timestamp")),
        provider=provider,
        category=category,
        code=code,
        detail=pointer.text(event, why),
    )
