"""What APNs' answers mean ("Handling notification responses from APNs": its table of reasons)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Outcome, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels.http import Answer

EXPIRED_TOKEN = "ExpiredProviderToken"  # noqa: S105 - a word of theirs

_YEAR_3000_MS = 32_503_680_000_000

AGAIN_S = 900.0
"""When Apple says that what failed within it may be tried again: after 15 minutes."""

FOR_GOOD: Mapping[str, Reason] = {
    "BadDeviceToken": Reason.RECIPIENT_REFUSED,  # perhaps of the other environment, so it is not gone
    "DeviceTokenNotForTopic": Reason.RECIPIENT_REFUSED,
    "MissingDeviceToken": Reason.RECIPIENT_REFUSED,
    "ExpiredToken": Reason.DEVICE_GONE,
    "Unregistered": Reason.DEVICE_GONE,
}
"""Reasons that no other attempt mends. What is not here and not below is about the message."""

FOR_NOW: Mapping[str, Reason] = {
    "BadCertificate": Reason.PROVIDER_CREDENTIALS,
    "BadCertificateEnvironment": Reason.PROVIDER_CREDENTIALS,
    "BadEnvironmentKeyIdInToken": Reason.PROVIDER_CREDENTIALS,
    "BadTopic": Reason.PROVIDER_CREDENTIALS,
    EXPIRED_TOKEN: Reason.PROVIDER_CREDENTIALS,
    "Forbidden": Reason.PROVIDER_CREDENTIALS,
    "InvalidProviderToken": Reason.PROVIDER_CREDENTIALS,
    "MissingProviderToken": Reason.PROVIDER_CREDENTIALS,
    "MissingTopic": Reason.PROVIDER_CREDENTIALS,
    "TopicDisallowed": Reason.PROVIDER_CREDENTIALS,
    "UnrelatedKeyIdInToken": Reason.PROVIDER_CREDENTIALS,
    "IdleTimeout": Reason.PROVIDER_DEFERRED,
    "TooManyProviderTokenUpdates": Reason.PROVIDER_DEFERRED,
    "TooManyRequests": Reason.RECIPIENT_DEFERRED,  # to this device
    "InternalServerError": Reason.PROVIDER_DEFERRED,
    "ServiceUnavailable": Reason.PROVIDER_DEFERRED,
    "Shutdown": Reason.PROVIDER_DEFERRED,
}
"""Reasons that may be over at the next attempt."""


class Refused(msgspec.Struct, frozen=True):
    """The body of an answer that is no success. `timestamp`: since when the token is gone, ms since 1970."""

    reason: str = ""
    timestamp: int | None = None


def reason_of(answer: Answer) -> str:
    """The reason that an answer gives; empty where there is none."""
    return "" if answer.status == 200 else _read(answer).reason


def outcome_of(answer: Answer) -> Outcome:
    """The outcome of a request with this answer."""
    if answer.status == 200:
        return Sent(detail="200", provider_id=answer.headers.get("apns-id", ""))
    refused = _read(answer)
    detail = f"{answer.status} {refused.reason}".strip() + _since(refused)
    if reason := FOR_GOOD.get(refused.reason):
        return PermanentFailure(reason=reason, detail=detail)
    if reason := FOR_NOW.get(refused.reason):
        return TransientFailure(reason=reason, detail=detail, retry_after_s=_wait_s(answer, refused.reason))
    return _by_status(answer, detail)


def _by_status(answer: Answer, detail: str) -> Outcome:
    """Where the reason is unknown or none."""
    if answer.status == 410:
        return PermanentFailure(reason=Reason.DEVICE_GONE, detail=detail)
    if answer.status == 403:
        return TransientFailure(reason=Reason.PROVIDER_CREDENTIALS, detail=detail)
    if 400 <= answer.status < 500 and answer.status != 429:
        return PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail=detail)
    return TransientFailure(
        reason=Reason.PROVIDER_DEFERRED, detail=detail, retry_after_s=_wait_s(answer, "InternalServerError")
    )


def _wait_s(answer: Answer, reason: str) -> float | None:
    if answer.status >= 500 and reason != "Shutdown":  # another connection leads to another server
        return AGAIN_S
    return None


def _since(refused: Refused) -> str:
    if refused.timestamp is None or not 0 <= refused.timestamp < _YEAR_3000_MS:
        return ""
    return f" since {datetime.fromtimestamp(refused.timestamp / 1_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _read(answer: Answer) -> Refused:
    try:
        return msgspec.json.decode(answer.body, type=Refused)
    except ValueError:
        return Refused()
