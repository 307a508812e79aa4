"""The delivery: one message owed to one recipient on one channel, and the one table of its moves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DeliveryState(StrEnum):
    """Where a delivery stands; the value is the letter the ledger keeps."""

    QUEUED = "Q"
    SENDING = "G"
    RETRYING = "R"
    SENT = "S"
    FAILED = "F"
    SUPPRESSED = "P"
    EXPIRED = "E"
    CANCELLED = "C"
    AMBIGUOUS = "A"

    @property
    def is_final(self) -> bool:
        """True where the delivery is accounted for; a redrive alone moves it again."""
        return self in FINAL_STATES


FINAL_STATES = frozenset(
    {
        DeliveryState.SENT,
        DeliveryState.FAILED,
        DeliveryState.SUPPRESSED,
        DeliveryState.EXPIRED,
        DeliveryState.CANCELLED,
        DeliveryState.AMBIGUOUS,
    }
)
WAITING_STATES = frozenset({DeliveryState.QUEUED, DeliveryState.RETRYING})

# Drawn in ARCHITECTURE.md, "A delivery's life"; the store's Lua functions make these moves and CORRECTIONS.
TRANSITIONS: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.QUEUED: frozenset(
        {
            DeliveryState.SENDING,  # a window opened
            DeliveryState.FAILED,  # not renderable
            DeliveryState.SUPPRESSED,
            DeliveryState.EXPIRED,
            DeliveryState.CANCELLED,
        }
    ),
    DeliveryState.SENDING: frozenset(
        {
            DeliveryState.QUEUED,  # handed back, or taken over and sent again (AT_LEAST_ONCE)
            DeliveryState.RETRYING,  # a definite refusal for now
            DeliveryState.SENT,
            DeliveryState.FAILED,
            DeliveryState.CANCELLED,  # a definite refusal for now, of a trigger that was called off
            DeliveryState.EXPIRED,  # a definite refusal for now, and the next attempt would be too late
            DeliveryState.AMBIGUOUS,  # cut off, and not to be repeated (AT_MOST_ONCE)
        }
    ),
    DeliveryState.RETRYING: frozenset(
        {
            DeliveryState.SENDING,
            DeliveryState.FAILED,
            DeliveryState.SUPPRESSED,
            DeliveryState.EXPIRED,
            DeliveryState.CANCELLED,
        }
    ),
    **{state: frozenset() for state in FINAL_STATES},
    DeliveryState.FAILED: frozenset({DeliveryState.QUEUED}),  # redriven
    DeliveryState.AMBIGUOUS: frozenset({DeliveryState.QUEUED}),  # redriven
}
# What a worker that lost its batch may still put right: how an attempt ended that had to be called ambiguous.
CORRECTIONS: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.QUEUED: frozenset({DeliveryState.SENT, DeliveryState.FAILED}),
    DeliveryState.AMBIGUOUS: frozenset({DeliveryState.SENT, DeliveryState.FAILED}),
}


class Reason(StrEnum):
    """Why a delivery is where it is; the names are those of the contract's `Delivery.Reason`."""

    NONE = ""
    RECIPIENT_REFUSED = "RECIPIENT_REFUSED"
    RECIPIENT_DEFERRED = "RECIPIENT_DEFERRED"
    DEVICE_GONE = "DEVICE_GONE"
    ENDPOINT_GONE = "ENDPOINT_GONE"
    ENDPOINT_FORBIDDEN = "ENDPOINT_FORBIDDEN"
    MESSAGE_REFUSED = "MESSAGE_REFUSED"
    PROVIDER_DEFERRED = "PROVIDER_DEFERRED"
    PROVIDER_UNREACHABLE = "PROVIDER_UNREACHABLE"
    PROVIDER_CREDENTIALS = "PROVIDER_CREDENTIALS"
    PROVIDER_UNSUPPORTED = "PROVIDER_UNSUPPORTED"
    RENDER_FAILED = "RENDER_FAILED"
    HANDOVER_UNKNOWN = "HANDOVER_UNKNOWN"
    POISON = "POISON"
    TRIGGER_CANCELLED = "TRIGGER_CANCELLED"
    CAMPAIGN_STOPPED = "CAMPAIGN_STOPPED"
    EXPIRED = "EXPIRED"
    INTERNAL = "INTERNAL"
    ADDRESS_SUPPRESSED = "ADDRESS_SUPPRESSED"
    DOMAIN_SUPPRESSED = "DOMAIN_SUPPRESSED"
    ADDRESS_NOT_ALLOWED = "ADDRESS_NOT_ALLOWED"
    DOMAIN_NOT_ALLOWED = "DOMAIN_NOT_ALLOWED"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """What the ledger holds of one delivery. Times are milliseconds since 1970 by the store's clock.

    `since_ms`: when it was redriven, 0 if never; attempts and age count from then. `provider` has or had it last.
    """

    state: DeliveryState = DeliveryState.QUEUED
    attempts: int = 0
    ambiguous_attempts: int = 0
    time_ms: int = 0
    due_ms: int = 0
    since_ms: int = 0
    provider: str = ""
    reason: Reason = Reason.NONE
    detail: str = ""
