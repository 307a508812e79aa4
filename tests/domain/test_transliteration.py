"""Text brought into the GSM alphabet, or left as it is."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clarion_core.domain.sms_text import GSM_CHARACTERS, segments
from clarion_core.domain.transliteration import transliterated


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("Ihr Code: 4711", "Ihr Code: 4711"),
        ("“Hello” – it’s ‘fine’…", "\"Hello\" - it's 'fine'..."),
        ("„Grüße“ «ici» ‚da‘", '"Grüße" "ici" \'da\''),
        ("12\u00a0€\u202f—\u2009now", "12 € - now"),
        ("façade, garçon, Çelik", "facade, garcon, Çelik"),
        ("Žluťoučký kůň", "Zlutoucky kun"),
        ("Łódź, Đặng, Þór, œuvre", "Lódz, Dang, Thór, oeuvre".replace("ó", "o")),
        ("e\u0301tude", "étude"),
        ("x\u0302", "x"),
        ("ＡＢＣ　１２３", "ABC 123"),
        ("ﬁne", "fine"),
        ("Cafe\u0301 №5 ™", "Café No.5 (TM)"),
        ("1⁄2", "1/2"),
        ("A\tB", "A B"),
        ("İstanbul’da", "Istanbul'da"),
    ],
)
def test_what_has_something_near_becomes_it(text: str, near: str) -> None:
    assert transliterated(text) == near


@pytest.mark.parametrize(
    "text",
    [
        "“Привет”",
        "“gift” 🎁",
        "’10²",
        "1½ “hours”",
        "“ご注文”",
        "’x\u20dd",
        "“1\ufe0f\u20e3”",
        "’\u0301",
        "5\u0301",
        "¨",
        "zero\u200bwidth",
        "\x1b“",
        "\ud800",
    ],
)
def test_a_text_with_something_that_has_nothing_near_stays_as_it_is(text: str) -> None:
    assert transliterated(text) == text


@given(st.text(max_size=200) | st.text(st.characters(max_codepoint=0x24F), max_size=200))
@example("\u0344")
def test_the_result_is_gsm_or_the_text_itself(text: str) -> None:
    near = transliterated(text)
    assert near == text or GSM_CHARACTERS.issuperset(near)
    assert transliterated(near) == near
    assert bool(near) == bool(text)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x17F, exclude_categories=["Cc"]), max_size=300))
def test_letters_of_european_languages_stay_as_many(text: str) -> None:
    letters = [char for char in text if char.isalpha()]
    near = transliterated(text)
    assert sum(char.isalpha() for char in near) >= len(letters)


def test_it_saves_segments() -> None:
    text = "Your parcel – order “4711” – arrives today between 8 and 10 o’clock. Track it: https://example.com/t/4711"
    assert (segments(text), segments(transliterated(text))) == (2, 1)
