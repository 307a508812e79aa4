"""Why a message came back: every category has its type and its number, and codes lead to the right one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion_core.domain.bounce import AJO_CODES, BOUNCE_TYPES, BounceCategory, BounceType, of_enhanced


def test_every_category_has_a_type_and_a_number_of_its_own() -> None:
    assert BOUNCE_TYPES.keys() == AJO_CODES.keys() == set(BounceCategory)
    assert len(set(AJO_CODES.values())) == len(BounceCategory)


@pytest.mark.parametrize(
    ("code", "category", "kind"),
    [
        ("5.1.1", BounceCategory.INVALID_RECIPIENT, BounceType.HARD),
        ("5.1.10", BounceCategory.INVALID_RECIPIENT, BounceType.HARD),
        ("5.2.1 mailbox disabled", BounceCategory.RECIPIENT_REFUSED, BounceType.HARD),
        ("4.2.1", BounceCategory.SOFT, BounceType.SOFT),
        ("4.1.1", BounceCategory.SOFT, BounceType.SOFT),
        ("5.2.2", BounceCategory.MAILBOX_FULL, BounceType.SOFT),
        ("4.2.2", BounceCategory.MAILBOX_FULL, BounceType.SOFT),
        ("5.3.0", BounceCategory.SOFT, BounceType.SOFT),
        ("5.4.4", BounceCategory.DNS_FAILURE, BounceType.SOFT),
        ("4.4.7", BounceCategory.TIMEOUT, BounceType.NEUTRAL),
        ("4.4.1", BounceCategory.TRANSIENT, BounceType.NEUTRAL),
        ("5.3.4", BounceCategory.TOO_LARGE, BounceType.NEUTRAL),
        ("5.7.1", BounceCategory.POLICY, BounceType.NEUTRAL),
        ("5.1.8", BounceCategory.POLICY, BounceType.NEUTRAL),
        ("5.0.0", BounceCategory.UNDETERMINED, BounceType.NEUTRAL),
        ("2.1.5", BounceCategory.UNDETERMINED, BounceType.NEUTRAL),
        ("5.1.1000", BounceCategory.UNDETERMINED, BounceType.NEUTRAL),
        ("", BounceCategory.UNDETERMINED, BounceType.NEUTRAL),
    ],
)
def test_an_enhanced_status_code_leads_to_its_category(code: str, category: BounceCategory, kind: BounceType) -> None:
    assert (of_enhanced(code), BOUNCE_TYPES[of_enhanced(code)]) == (category, kind)


@given(st.integers(0, 999), st.integers(0, 999))
def test_what_is_for_now_is_never_held_against_an_address_for_good(subject: int, detail: int) -> None:
    assert BOUNCE_TYPES[of_enhanced(f"4.{subject}.{detail}")] is not BounceType.HARD
