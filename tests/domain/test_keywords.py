"""What answers to text messages mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion_core.domain.keywords import USUAL, Keyword, keyword_of, keywords, plain


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("STOP", Keyword.STOP),
        (" stop. ", Keyword.STOP),
        ("“Stop!”", Keyword.STOP),
        ("S.T.O.P", Keyword.STOP),
        ("ＳＴＯＰ", Keyword.STOP),
        ("un-subscribe", Keyword.STOP),
        ("No", Keyword.STOP),
        ("Yes!!", Keyword.START),
        ("unstop", Keyword.START),
        ("Help?", Keyword.HELP),
        ("no thanks", None),
        ("please don't stop", None),
        ("stop stop", None),
        ("", None),
        ("?!", None),
        ("👍", None),
    ],
)
def test_the_whole_answer_is_the_keyword(text: str, keyword: Keyword | None) -> None:
    assert keyword_of(text) is keyword


def test_a_list_of_ones_own_replaces_the_usual_one_and_no_other() -> None:
    known = keywords(stop=["Stopp", "Keine SMS!", ""])
    assert [keyword_of(text, known) for text in ("stopp", "keine  sms", "STOP", "", "start")] == [
        Keyword.STOP,
        Keyword.STOP,
        None,
        None,
        Keyword.START,
    ]


def test_an_empty_list_listens_to_nothing() -> None:
    assert keyword_of("help", keywords(help_=[])) is None


@given(
    st.sampled_from([(word, key) for key, listed in USUAL.items() for word in listed]),
    st.sampled_from(".,!?…\"'*- \n\t"),
)
def test_case_and_punctuation_never_matter(known: tuple[str, Keyword], mark: str) -> None:
    word, keyword = known
    assert keyword_of(f"{mark}{word.title()}{mark}{mark}") is keyword
    assert keyword_of(word.upper()) is keyword


@given(st.text(max_size=50))
def test_what_is_plain_is_words_and_single_blanks(text: str) -> None:
    words = plain(text)
    assert words == " ".join(words.split())
    assert not set(words) & set(".,!?'\"-\n\t$+")
