"""What FCM's answers mean (firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode).

The status says little: what counts is the `errorCode` of a detail of type FcmError, where there is one.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels.http import Answer

T = TypeVar("T")

QUOTA_WAIT_S = 60.0
"""What FCM asks for where a quota is used up and the answer names no time ("Best practices … at scale")."""


class Violation(msgspec.Struct, frozen=True):
    """A field that does not fit (google.rpc.BadRequest)."""

    field: str = ""
    description: str = ""


class Detail(msgspec.Struct, frozen=True, rename={"error_code": "errorCode", "violations": "fieldViolations"}):
    """One detail of an error; of which kind shows in what it has."""

    error_code: str = ""
    violations: tuple[Violation, ...] = ()


class Error(msgspec.Struct, frozen=True):
    """A google.rpc.Status as JSON."""

    message: str = ""
    status: str = ""
    details: tuple[Detail, ...] = ()

    @property
    def code(self) -> str:
        """FCM's own code, or else the general one."""
        return next((detail.error_code for detail in self.details if detail.error_code), self.status)

    @property
    def fields(self) -> list[str]:
        """The fields that do not fit."""
        return [violation.field for detail in self.details for violation in detail.violations]


class Refused(msgspec.Struct, frozen=True):
    """The body of an answer that is no success."""

    error: Error = Error()


class Accepted(msgspec.Struct, frozen=True):
    """The body of a success; `name` is `projects/{project}/messages/{id}`."""

    name: str = ""


def outcome_of(answer: Answer) -> Outcome:
    """The outcome of a request with this answer."""
    if answer.status == 200:
        return Sent(detail="200", provider_id=_read(answer, Accepted, Accepted()).name)
    error = _read(answer, Refused, Refused()).error
    return _meaning(answer, error, f"{answer.status} {error.code} {error.message}".strip())


def _meaning(answer: Answer, error: Error, detail: str) -> Outcome:
    match error.code:
        case "UNREGISTERED":
            return PermanentFailure(reason=Reason.DEVICE_GONE, detail=detail)
        case "SENDER_ID_MISMATCH":  # the token is another project's
            return PermanentFailure(reason=Reason.RECIPIENT_REFUSED, detail=detail)
        case "INVALID_ARGUMENT":
            reason = Reason.RECIPIENT_REFUSED if _is_of_the_token(error) else Reason.MESSAGE_REFUSED
            return PermanentFailure(reason=reason, detail=detail)
        case "THIRD_PARTY_AUTH_ERROR":  # the project's own credentials for APNs or Web Push
            return TransientFailure(reason=Reason.PROVIDER_CREDENTIALS, detail=detail)
    if answer.status in (
        502,
        504,
    ):  # a gateway had no answer that it understood, or none: nobody knows what became of it
        return Ambiguous(detail=detail)
    if answer.status in (401, 403, 404):  # unknown, not allowed, or no such project
        return TransientFailure(reason=Reason.PROVIDER_CREDENTIALS, detail=detail)
    if answer.status == 413 or 400 <= answer.status < 429:
        return PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail=detail)
    wait_s = answer.retry_after_s()
    if wait_s is None and answer.status == 429:
        wait_s = QUOTA_WAIT_S
    return TransientFailure(reason=Reason.PROVIDER_DEFERRED, detail=detail, retry_after_s=wait_s)


def _is_of_the_token(error: Error) -> bool:
    """FCM names the field, or says in words that it is no registration token (its own example has no field)."""
    if error.fields:
        return error.fields == ["message.token"]
    return "registration token" in error.message.lower()


def _read(answer: Answer, kind: type[T], default: T) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except ValueError:
        return default
