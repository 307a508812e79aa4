"""Who a text message may be from."""

from __future__ import annotations

import pytest

from clarion_core.domain.sender import SenderKind, Senders, sender_kind


@pytest.mark.parametrize(
    ("sender", "kind"),
    [
        ("+4915112345678", SenderKind.NUMBER),
        ("12345", SenderKind.SHORT_CODE),
        ("123", SenderKind.SHORT_CODE),
        ("Clarion", SenderKind.NAME),
        ("Lumen Loom", SenderKind.NAME),
        ("A&B", SenderKind.NAME),
        ("1st", SenderKind.NAME),
        ("x", SenderKind.NAME),
    ],
)
def test_a_sender_is_a_number_a_short_code_or_a_name(sender: str, kind: SenderKind) -> None:
    assert sender_kind(sender) is kind


@pytest.mark.parametrize(
    "sender", ["", " ", "+", "12", "123456789", "TwelveLetter", " Clarion", "Clarion ", "Grüße", "+0123456789", "a\nb"]
)
def test_what_networks_do_not_carry_is_none(sender: str) -> None:
    with pytest.raises(ValueError, match="short code"):
        sender_kind(sender)


def test_a_country_may_have_a_sender_of_its_own() -> None:
    senders = Senders(default="Clarion", by_country={"US": "+12025550123"})
    assert [senders.of(country) for country in ("US", "DE", "")] == ["+12025550123", "Clarion", "Clarion"]
