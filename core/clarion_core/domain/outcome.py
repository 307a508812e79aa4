"""What a channel reports about one attempt. Exactly one of four values; nothing is told by raising."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from clarion_core.domain.delivery import Reason
from clarion_core.domain.error_class import ErrorClass


class AddressFact(StrEnum):
    """What somebody learnt of an address, whatever became of the message: what suppressions are made of.

    The value is what the store's function takes.
    """

    HARD_BOUNCE = "H"  # there is no such address, or it takes nothing any more
    COMPLAINT = "C"  # the recipient called a message spam
    UNSUBSCRIBED = "U"  # the recipient wants no more
    DEVICE_GONE = "D"
    ENDPOINT_GONE = "E"
    SOFT_REFUSAL = "refused"  # a provider refused it for now at the hand-over, like a full mailbox
    SOFT_BOUNCE = "bounced"  # a receipt says as much of a message that was taken
    TAKEN = "taken"  # a provider took a message for it
    REACHED = "reached"  # a receipt says that a message arrived


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

    `retry_after_s`: not before that many seconds, where the provider said so. `address_fact`: what it says of the
    address itself, if anything; None by far the most often.
    """

    reason: Reason
    detail: str = ""
    retry_after_s: float | None = None
    address_fact: AddressFact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PermanentFailure:
    """The provider certainly has not got the message and never will.

    `address_fact` as in `TransientFailure`.
    """

    reason: Reason
    detail: str = ""
    address_fact: AddressFact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    """The message was handed over and no answer came: the provider may or may not have it.

    `silent` is who did not answer. A recipient's own server says nothing of the provider that called it.
    """

    detail: str = ""
    silent: ErrorClass = ErrorClass.PROVIDER


Outcome = Sent | TransientFailure | PermanentFailure | Ambiguous
