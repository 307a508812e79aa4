"""What people answer to a text message when they want no more of them, want them again, or want help."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from enum import Enum


class Keyword(Enum):
    """What an answer means."""

    STOP = "STOP"
    START = "START"
    HELP = "HELP"


Keywords = Mapping[Keyword, frozenset[str]]


def keywords(
    *, stop: Iterable[str] | None = None, start: Iterable[str] | None = None, help_: Iterable[str] | None = None
) -> Keywords:
    """Lists of keywords; one that is given replaces the usual one. A keyword may be several words.

    One word in two lists means the first of STOP, START and HELP that has it.
    """
    given = {Keyword.STOP: stop, Keyword.START: start, Keyword.HELP: help_}
    return {
        keyword: USUAL[keyword] if listed is None else frozenset(filter(None, map(plain, listed)))
        for keyword, listed in given.items()
    }


def keyword_of(text: str, known: Keywords | None = None) -> Keyword | None:
    """What the whole text says, whatever its case and punctuation; None where it is no keyword.

    A keyword within a sentence is none: "please don't stop" is not STOP.
    """
    words = plain(text)
    return next((keyword for keyword, listed in (known or USUAL).items() if words in listed), None) if words else None


def plain(text: str) -> str:
    """The words of a text alone: without punctuation and symbols, in one case, one blank apart."""
    kept = (" " if char.isspace() else char for char in unicodedata.normalize("NFKC", text) if not _is_mark(char))
    return " ".join("".join(kept).casefold().split())


def _is_mark(char: str) -> bool:
    """Punctuation, a symbol, or something without a form of its own."""
    return unicodedata.category(char)[0] in "PS" or (unicodedata.category(char)[0] == "C" and not char.isspace())


USUAL: Keywords = {
    Keyword.STOP: frozenset(("stop", "quit", "cancel", "end", "unsubscribe", "no")),
    Keyword.START: frozenset(("start", "subscribe", "yes", "unstop", "continue", "resume", "begin")),
    Keyword.HELP: frozenset(("help",)),
}
"""Those that Adobe Journey Optimizer listens to."""
