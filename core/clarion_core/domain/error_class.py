"""What an error is about; and, a fact of its own, whether another attempt may end better."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from clarion_core.domain.delivery import Reason


class ErrorClass(StrEnum):
    """Whom or what an error is about. It says nothing of whether to try again: see RETRYABLE."""

    RECIPIENT = "RECIPIENT"  # this recipient, through whichever provider
    PROVIDER = "PROVIDER"  # this provider, for whomever: another one may do better
    CONTENT = "CONTENT"  # this message, through whichever provider
    UNKNOWN = "UNKNOWN"  # nobody can tell: a cut-off, or a defect of ours


# Every reason has its class; None is no error.
ERROR_CLASSES: Mapping[Reason, ErrorClass | None] = {
    Reason.NONE: None,
    Reason.RECIPIENT_REFUSED: ErrorClass.RECIPIENT,
    Reason.RECIPIENT_DEFERRED: ErrorClass.RECIPIENT,
    Reason.DEVICE_GONE: ErrorClass.RECIPIENT,
    Reason.ENDPOINT_GONE: ErrorClass.RECIPIENT,
    Reason.ENDPOINT_FORBIDDEN: ErrorClass.RECIPIENT,
    Reason.MESSAGE_REFUSED: ErrorClass.CONTENT,
    Reason.PROVIDER_DEFERRED: ErrorClass.PROVIDER,
    Reason.PROVIDER_UNREACHABLE: ErrorClass.PROVIDER,
    Reason.PROVIDER_CREDENTIALS: ErrorClass.PROVIDER,
    Reason.PROVIDER_UNSUPPORTED: ErrorClass.PROVIDER,
    Reason.RENDER_FAILED: ErrorClass.CONTENT,
    Reason.HANDOVER_UNKNOWN: ErrorClass.UNKNOWN,
    Reason.POISON: ErrorClass.UNKNOWN,
    Reason.TRIGGER_CANCELLED: None,
    Reason.CAMPAIGN_STOPPED: None,
    Reason.EXPIRED: None,
    Reason.INTERNAL: ErrorClass.UNKNOWN,
    Reason.ADDRESS_SUPPRESSED: ErrorClass.RECIPIENT,
    Reason.DOMAIN_SUPPRESSED: ErrorClass.RECIPIENT,
    Reason.ADDRESS_NOT_ALLOWED: ErrorClass.RECIPIENT,
    Reason.DOMAIN_NOT_ALLOWED: ErrorClass.RECIPIENT,
}


# What may end better when the same message is handed over again, later, without the risk of a second copy. After an
# ambiguous hand-over the campaign decides, knowing the risk: that is another question.
RETRYABLE = frozenset(
    {
        Reason.RECIPIENT_DEFERRED,
        Reason.PROVIDER_DEFERRED,
        Reason.PROVIDER_UNREACHABLE,
        Reason.PROVIDER_CREDENTIALS,
    }
)
