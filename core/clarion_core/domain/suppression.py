"""Suppressions: who must not be sent to, why, and what a provider's answers make of an address.

The store applies these decisions in its own functions, in the step that writes; the tests hold both side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from clarion_core.domain.bounce import BOUNCE_TYPES, BounceCategory, BounceType
from clarion_core.domain.delivery import Reason
from clarion_core.domain.medium import Channel
from clarion_core.domain.outcome import AddressFact, Outcome, PermanentFailure, Sent, TransientFailure

DAY_MS = 86_400_000
SOFT_BOUNCES = 5
"""Soft bounces after which an address is suppressed, unless the channel configuration says so."""
SOFT_BOUNCES_MAX = 20
COUNTED_MS = DAY_MS
"""Of soft bounces within this time of the last one that counted, none counts."""
COUNTER_KEPT_MS = 180 * DAY_MS
"""A counter is forgotten this long after the last soft bounce that counted."""
COMMENT_MAX = 200
SOURCE_MAX = 64


class SuppressionReason(StrEnum):
    """Why an address or a domain is suppressed; the value is the letter the store keeps."""

    HARD_BOUNCE = "H"  # a provider says that there is no such address
    SOFT_BOUNCES = "S"  # as many soft bounces as the threshold, with no success between them
    COMPLAINT = "C"  # the recipient called a message spam
    UNSUBSCRIBED = "U"  # the recipient asked for no more, like STOP to an SMS
    DEVICE_GONE = "D"  # a push service says that the token is no longer one
    ENDPOINT_GONE = "E"  # a webhook answered 410
    MANUAL = "M"  # somebody wants it so
    IMPORT = "I"  # it came in a file


class TargetKind(StrEnum):
    """What an entry of a list names."""

    ADDRESS = "ADDRESS"  # one e-mail address, phone number, push token or webhook URL
    DOMAIN = "DOMAIN"  # an e-mail domain or a webhook's host; `*.` in front: all below it, and not itself


@dataclass(frozen=True, slots=True)
class Target:
    """What an entry of a list names, in its normal form. See `clarion_core.targets`."""

    kind: TargetKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry of a suppression list or, where `reason` is None, of an allow list.

    `source` names who made it: a provider, a caller. Times are milliseconds since 1970 by the store's clock;
    `expire_ms` 0: it holds for good.
    """

    target: Target
    reason: SuppressionReason | None = None
    source: str = ""
    comment: str = ""
    create_ms: int = 0
    expire_ms: int = 0

    def holds(self, now_ms: int) -> bool:
        """Whether it is in force."""
        return not self.expire_ms or self.expire_ms > now_ms


def merged(old: Entry | None, new: Entry, *, now_ms: int, told: bool) -> Entry:
    """What stands after `new` is added where `old` stood.

    What somebody tells (`told`) replaces what stood, unless it says the same; what providers report only adds to it. A
    complaint never takes the place of another reason: some channels pass over complaints, and must not over the other.
    """
    if old is None or not old.holds(now_ms):
        return new
    weaker = new.reason is SuppressionReason.COMPLAINT and old.reason is not SuppressionReason.COMPLAINT
    stronger = old.reason is SuppressionReason.COMPLAINT and new.reason is not SuppressionReason.COMPLAINT
    if told and not weaker:
        return old if replace(old, create_ms=new.create_ms) == new else new
    kept = new if stronger else old
    lasts = 0 if 0 in (old.expire_ms, new.expire_ms) else max(old.expire_ms, new.expire_ms)
    return replace(kept, expire_ms=lasts)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftCounter:
    """Soft bounces of an address that counted, and when the last of them did.

    `receipt`: one of them was told by a receipt, so that a provider's taking a message is no sign that the address is
    well: it takes them all.
    """

    count: int
    last_ms: int
    receipt: bool = False


def after_soft_bounce(
    counter: SoftCounter | None, *, at_ms: int, threshold: int, receipt: bool = False
) -> SoftCounter | None:
    """The counter after one more soft bounce, which happened `at_ms`; None where the address is to be suppressed.

    At most one a day counts, so that the retries of a day say no more than one of them. One that is heard of late, or
    again, counts by its own time: not where it was before the last that counted.
    """
    if counter is None or at_ms >= counter.last_ms + COUNTER_KEPT_MS:
        counter = SoftCounter(count=0, last_ms=at_ms - COUNTED_MS)
    receipt = counter.receipt or receipt
    if at_ms < counter.last_ms + COUNTED_MS:
        return SoftCounter(count=counter.count, last_ms=counter.last_ms, receipt=receipt)
    count = counter.count + 1
    return None if count >= threshold else SoftCounter(count=count, last_ms=at_ms, receipt=receipt)


def after_success(counter: SoftCounter | None, *, receipt: bool) -> SoftCounter | None:
    """The counter after a message was delivered, as a `receipt` says, or else was taken by a provider."""
    return counter if counter and counter.receipt and not receipt else None


class VerdictKind(StrEnum):
    """Whether an address may be sent to; the value is what the store's function answers."""

    MAY = ""
    ADDRESS_SUPPRESSED = "A"
    DOMAIN_SUPPRESSED = "D"
    ADDRESS_NOT_ALLOWED = "N"
    DOMAIN_NOT_ALLOWED = "M"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether an address may be sent to. `by` is the suppression that forbids it.

    `counting`: soft bounces of it were counted, so a success has something to set back.
    """

    kind: VerdictKind = VerdictKind.MAY
    by: Entry | None = None
    counting: bool = False

    @property
    def may(self) -> bool:
        """Whether it may be sent to."""
        return self.kind is VerdictKind.MAY


MAY = Verdict()

REASONS: Mapping[VerdictKind, Reason] = {
    VerdictKind.ADDRESS_SUPPRESSED: Reason.ADDRESS_SUPPRESSED,
    VerdictKind.DOMAIN_SUPPRESSED: Reason.DOMAIN_SUPPRESSED,
    VerdictKind.ADDRESS_NOT_ALLOWED: Reason.ADDRESS_NOT_ALLOWED,
    VerdictKind.DOMAIN_NOT_ALLOWED: Reason.DOMAIN_NOT_ALLOWED,
}
"""What a delivery ends with that may not be sent."""

# Adobe Journey Optimizer's exclusion codes. Its lists know e-mail alone; its codes without a channel stand for ours.
_AJO_EMAIL: Mapping[Reason, str] = {
    Reason.ADDRESS_SUPPRESSED: "050102",  # EmailSuppressed
    Reason.DOMAIN_SUPPRESSED: "050105",  # DomainSuppressed
    Reason.ADDRESS_NOT_ALLOWED: "050103",  # EmailNotAllowed
    Reason.DOMAIN_NOT_ALLOWED: "050106",  # DomainNotAllowed
}
_AJO_ANY: Mapping[Reason, str] = {
    Reason.ADDRESS_SUPPRESSED: "050107",  # Suppressed
    Reason.DOMAIN_SUPPRESSED: "050107",
    Reason.ADDRESS_NOT_ALLOWED: "050108",  # NotAllowed
    Reason.DOMAIN_NOT_ALLOWED: "050108",
}


def ajo_code(reason: Reason, channel: Channel) -> str:
    """What Adobe Journey Optimizer calls this exclusion, six digits; empty where it has no word for it."""
    return (_AJO_EMAIL if channel is Channel.EMAIL else _AJO_ANY).get(reason, "")


# What a reason says of the address by itself; other refusals bring an `address_fact`, or say nothing of it.
_GONE: Mapping[Reason, AddressFact] = {
    Reason.DEVICE_GONE: AddressFact.DEVICE_GONE,
    Reason.ENDPOINT_GONE: AddressFact.ENDPOINT_GONE,
}


def fact_of(outcome: Outcome) -> AddressFact | None:
    """What an attempt's outcome says of the address itself."""
    match outcome:
        case Sent():
            return AddressFact.TAKEN
        case TransientFailure(address_fact=fact, reason=reason) | PermanentFailure(address_fact=fact, reason=reason):
            return fact or _GONE.get(reason)
        case _:
            return None


GONE: Mapping[Channel, AddressFact] = {
    Channel.EMAIL: AddressFact.HARD_BOUNCE,
    Channel.SMS: AddressFact.HARD_BOUNCE,
    Channel.PUSH: AddressFact.DEVICE_GONE,
    Channel.WEBHOOK: AddressFact.ENDPOINT_GONE,
}
"""What it is called, by channel, that an address is no longer one."""


def fact_of_bounce(category: BounceCategory, channel: Channel, *, receipt: bool) -> AddressFact | None:
    """What a bounce says of the address itself, told by a `receipt` or else at the hand-over; None: nothing.

    What a policy, the message, the sender or the way there was to blame for says nothing of it.
    """
    match BOUNCE_TYPES[category]:
        case BounceType.HARD:
            return GONE[channel]
        case BounceType.SOFT:
            return AddressFact.SOFT_BOUNCE if receipt else AddressFact.SOFT_REFUSAL
        case BounceType.NEUTRAL:
            return None
