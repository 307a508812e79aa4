"""What a channel reports about one attempt. Exactly one of four values; nothing is told by raising."""

from __future__ import annotations

from dataclasses import dataclass

from clarion_core.domain.delivery import Reason
from clarion_core.domain.error_class import ErrorClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The provider took responsibility. `detail` is what it said, `provider_id` its own id of the message, if any.

    An id is at most 128 characters; several of one message are separated by blanks. `receipts_by_id`: the provider's
    receipts will say nothing but that id, so the delivery must be found by it.
    """

    detail: str = ""
    provider_id: str = ""
    receipts_by_id: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TransientFailure:
    """The provider certainly has not got the message, and may take it later.

    `retry_after_s`: not before that many seconds, where the provider said so.
    """

    reason: Reason
    detail: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PermanentFailure:
    """The provider certainly has not got the message and never will.

    `unsubscribed`: because the recipient told it to want no more.
    """

    reason: Reason
    detail: str = ""
    unsubscribed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    """The message was handed over and no answer came: the provider may or may not have it.

    `silent` is who did not answer. A recipient's own server says nothing of the provider that called it.
    """

    detail: str = ""
    silent: ErrorClass = ErrorClass.PROVIDER


Outcome = Sent | TransientFailure | PermanentFailure | Ambiguous
