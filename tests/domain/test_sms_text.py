"""Which alphabet a text is in, how many segments carry it, and where it is parted."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clarion_core.domain.sms_text import (
    BASIC,
    ESCAPE,
    EXTENSION,
    GSM_CHARACTERS,
    Alphabet,
    alphabet_of,
    parted,
    segments,
)

GSM = st.text(st.sampled_from(sorted(GSM_CHARACTERS)), max_size=700)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
MIXED = st.text(st.sampled_from("a€🎁ñ中{"), max_size=700)


def units_by_hand(text: str, alphabet: Alphabet) -> int:
    if alphabet is Alphabet.UCS2:
        return len(text.encode("utf-16-be")) // 2
    return sum(2 if char in EXTENSION else 1 for char in text)


def test_the_tables_have_every_code_once() -> None:
    assert len(BASIC) == len(set(BASIC)) == 128
    assert BASIC[0x1B] == ESCAPE
    assert [BASIC.index(char) for char in "@$\n\rA_ a"] == [0, 2, 0x0A, 0x0D, 0x41, 0x11, 0x20, 0x61]
    assert len(set(EXTENSION.values())) == len(EXTENSION) == 10
    assert not set(BASIC) & EXTENSION.keys()


@pytest.mark.parametrize(
    ("text", "alphabet", "count"),
    [
        ("", Alphabet.GSM7, 1),
        ("a" * 160, Alphabet.GSM7, 1),
        ("a" * 161, Alphabet.GSM7, 2),
        ("a" * 306, Alphabet.GSM7, 2),
        ("a" * 307, Alphabet.GSM7, 3),
        ("€" * 80, Alphabet.GSM7, 1),
        ("€" * 80 + "a", Alphabet.GSM7, 2),
        ("a" * 152 + "€" + "a" * 152, Alphabet.GSM7, 3),  # 306 septets, but the first part would end in an escape
        ("a" * 151 + "€" + "a" * 153, Alphabet.GSM7, 2),
        ("ÄÖÜäöüßÑñ¿¡@£$", Alphabet.GSM7, 1),
        ("ç", Alphabet.UCS2, 1),  # the alphabet has the capital alone
        (ESCAPE, Alphabet.UCS2, 1),
        ("ы" * 70, Alphabet.UCS2, 1),
        ("ы" * 71, Alphabet.UCS2, 2),
        ("ы" * 134, Alphabet.UCS2, 2),
        ("ы" * 135, Alphabet.UCS2, 3),
        ("🎁" * 35, Alphabet.UCS2, 1),
        ("🎁" * 36, Alphabet.UCS2, 2),
        ("🎁" * 67, Alphabet.UCS2, 3),  # 134 units, but 33 pairs a part
        ("ы" * 66 + "🎁" + "ы" * 66, Alphabet.UCS2, 3),
        ("ы" * 65 + "🎁" + "ы" * 67, Alphabet.UCS2, 2),
    ],
)
def test_segments_are_counted_as_networks_count_them(text: str, alphabet: Alphabet, count: int) -> None:
    assert alphabet_of(text) is alphabet
    assert segments(text) == len(parted(text).parts) == count


@given(GSM | ANY | MIXED)
@example("€" * 500)
@example("\ud800" * 71)
def test_parts_make_the_text_again_and_fit(text: str) -> None:
    found = parted(text)
    assert "".join(found.parts) == text
    assert segments(text) == len(found.parts)
    most = found.alphabet.alone if len(found.parts) == 1 else found.alphabet.each
    assert all(found.alphabet.units(part) <= most for part in found.parts)
    assert all(found.parts) or found.parts == ("",)


@given(ANY | MIXED | GSM)
def test_units_are_what_the_encodings_take(text: str) -> None:
    for alphabet in (alphabet_of(text), Alphabet.UCS2):
        assert alphabet.units(text) == units_by_hand(text, alphabet)


@given(GSM | MIXED)
def test_no_part_has_room_for_what_the_next_one_begins_with(text: str) -> None:
    found = parted(text)
    for part, following in zip(found.parts, found.parts[1:], strict=False):
        assert found.alphabet.units(part + following[0]) > found.alphabet.each


@given(st.text(max_size=300), st.text(max_size=5))
def test_more_text_never_takes_fewer_segments(text: str, more: str) -> None:
    assert segments(text + more) >= segments(text)
