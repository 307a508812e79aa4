"""What an outcome or a bounce says of an address, and what Adobe's codes for exclusions are."""

from __future__ import annotations

import pytest

from clarion_core.domain.bounce import BOUNCE_TYPES, BounceCategory, BounceType, of_enhanced
from clarion_core.domain.delivery import Reason
from clarion_core.domain.medium import Channel
from clarion_core.domain.outcome import AddressFact, Ambiguous, PermanentFailure, Sent, TransientFailure
from clarion_core.domain.suppression import (
    COUNTED_MS,
    GONE,
    REASONS,
    SoftCounter,
    VerdictKind,
    after_soft_bounce,
    after_success,
    ajo_code,
    fact_of,
    fact_of_bounce,
)


def test_a_hand_over_says_nothing_of_an_address_unless_somebody_says_so() -> None:
    assert fact_of(Sent()) is AddressFact.TAKEN
    assert fact_of(Ambiguous()) is None
    for reason in Reason:
        told = AddressFact.__members__.get(reason.name)
        assert fact_of(PermanentFailure(reason=reason)) is told
        assert fact_of(TransientFailure(reason=reason)) is told
    bounced = TransientFailure(reason=Reason.RECIPIENT_DEFERRED, address_fact=AddressFact.SOFT_REFUSAL)
    assert fact_of(bounced) is AddressFact.SOFT_REFUSAL
    assert (
        fact_of(PermanentFailure(reason=Reason.RECIPIENT_REFUSED, address_fact=AddressFact.UNSUBSCRIBED))
        is AddressFact.UNSUBSCRIBED
    )


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("category", BounceCategory)
def test_what_is_not_about_the_address_says_nothing_of_it(category: BounceCategory, channel: Channel) -> None:
    at_once, later = (fact_of_bounce(category, channel, receipt=receipt) for receipt in (False, True))
    match BOUNCE_TYPES[category]:
        case BounceType.HARD:
            assert at_once is later is GONE[channel]
        case BounceType.SOFT:
            assert (at_once, later) == (AddressFact.SOFT_REFUSAL, AddressFact.SOFT_BOUNCE)
        case BounceType.NEUTRAL:
            assert at_once is later is None


def test_the_last_soft_bounce_of_a_threshold_suppresses() -> None:
    counter: SoftCounter | None = None
    for day in range(4):
        counter = after_soft_bounce(counter, at_ms=day * COUNTED_MS, threshold=5)
        assert counter == SoftCounter(count=day + 1, last_ms=day * COUNTED_MS)
    assert after_soft_bounce(counter, at_ms=4 * COUNTED_MS - 1, threshold=5) == counter
    assert after_soft_bounce(counter, at_ms=4 * COUNTED_MS, threshold=5) is None
    assert after_soft_bounce(None, at_ms=0, threshold=1) is None


def test_a_provider_that_takes_everything_sets_nothing_back_that_receipts_told() -> None:
    refused = SoftCounter(count=1, last_ms=0)
    bounced = SoftCounter(count=1, last_ms=0, receipt=True)
    assert after_success(refused, receipt=False) is None
    assert after_success(bounced, receipt=False) == bounced
    assert after_success(bounced, receipt=True) is None


def test_every_exclusion_has_adobes_code_on_every_channel() -> None:
    email = {kind: ajo_code(REASONS[kind], Channel.EMAIL) for kind in VerdictKind if kind is not VerdictKind.MAY}
    assert list(email.values()) == ["050102", "050105", "050103", "050106"]
    for channel in (Channel.SMS, Channel.PUSH, Channel.WEBHOOK):
        assert {ajo_code(reason, channel) for reason in REASONS.values()} == {"050107", "050108"}
    assert ajo_code(Reason.EXPIRED, Channel.EMAIL) == ""


@pytest.mark.parametrize(
    ("codes", "fact"),
    [
        ("5.1.0 5.1.1 5.1.2 5.1.3 5.1.4 5.1.6 5.1.10 5.2.1 5.7.13 5.7.17 5.7.18", AddressFact.HARD_BOUNCE),
        ("4.1.1 4.2.1 4.2.2 5.2.0 5.2.2 5.2.4 5.3.0 5.3.2 4.4.3 5.4.4", AddressFact.SOFT_BOUNCE),
        ("5.1.7 5.1.8 5.7.0 5.7.1 4.7.1 5.7.26 5.2.3 5.3.4 5.5.0 5.6.0 5.0.0 2.1.5 550", None),
    ],
)
def test_a_code_says_of_an_address_what_the_docs_say(codes: str, fact: AddressFact | None) -> None:
    for code in codes.split():
        assert fact_of_bounce(of_enhanced(code), Channel.EMAIL, receipt=True) is fact, code
