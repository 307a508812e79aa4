"""Texts as octets of segments."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clarion_core.domain.sms_text import ESCAPE, EXTENSION, GSM_CHARACTERS, parted, segments
from clarion_workers.channels.sms.text import DataCoding, coded, gsm_octets, gsm_text

GSM = st.text(st.sampled_from(sorted(GSM_CHARACTERS)), max_size=700)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
HEADER = 6


def body(segment: bytes, coding: DataCoding) -> str:
    return segment.decode("utf-16-be") if coding is DataCoding.UCS2 else gsm_text(segment)


@pytest.mark.parametrize(
    ("text", "octets"),
    [("@£_a", b"\x00\x01\x11a"), ("€1", b"\x1be1"), ("[]", b"\x1b<\x1b>"), ("à\n", b"\x7f\n"), ("", b"")],
)
def test_septets_are_octets(text: str, octets: bytes) -> None:
    assert gsm_octets(text) == octets
    assert gsm_text(octets) == text


@pytest.mark.parametrize("text", ["`", "ç", ESCAPE, "\t", "\x7f", "🎁", "\x00"])
def test_what_the_alphabet_lacks_is_never_written_as_something_else(text: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        gsm_octets(text)


def test_an_unknown_extension_is_read_without_its_escape() -> None:
    assert gsm_text(b"a\x1bb\x1b\x1b\x1b") == "ab "


@given(GSM)
def test_what_is_written_in_septets_is_read_again(text: str) -> None:
    assert gsm_text(gsm_octets(text)) == text
    assert len(gsm_octets(text)) == len(text) + sum(char in EXTENSION for char in text)


@given(GSM | ANY, st.integers(0, 0xFFFF))
@example("🎁" * 200, 0xABCD)
@example("€" * 200, 1)
def test_segments_say_what_the_text_says_and_fit(text: str, reference: int) -> None:
    found = coded(text, reference)
    assert len(found.segments) == segments(text)
    if not found.concatenated:
        assert body(found.segments[0], found.coding) == text
        return
    assert "".join(body(each[HEADER:], found.coding) for each in found.segments) == text
    total = len(found.segments)
    for number, each in enumerate(found.segments, 1):
        assert each[:HEADER] == bytes((5, 0, 3, reference & 0xFF, total, number))
        assert len(each) <= (140 if found.coding is DataCoding.UCS2 else HEADER + 153)


@given(GSM)
def test_an_smsc_of_latin_1_gets_latin_1_or_ucs_2(text: str) -> None:
    found = coded(text, 1, "latin1")
    skipped = HEADER if found.concatenated else 0
    encoding = "utf-16-be" if found.coding is DataCoding.UCS2 else "latin-1"
    assert "".join(each[skipped:].decode(encoding) for each in found.segments) == text
    assert (found.coding is DataCoding.UCS2) == bool(set(text) & set("ΔΦΓΛΩΠΨΣΘΞ€"))
    if found.coding is DataCoding.DEFAULT:
        assert len(found.segments) == len(parted(text).parts)


def test_more_segments_than_a_header_can_number_are_refused() -> None:
    assert len(coded("a" * 153 * 255, 1).segments) == 255
    with pytest.raises(ValueError, match="256"):
        coded("a" * (153 * 255 + 1), 1)


def test_text_that_no_encoding_has_becomes_question_marks() -> None:
    assert coded("\ud800!", 1).segments == (b"\x00?\x00!",)
