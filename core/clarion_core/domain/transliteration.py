"""Text brought into the GSM 7 bit alphabet, where each character has something near to it there.

A text in UCS-2 takes more than twice the segments. What only looks different is replaced: typographic quotes, dashes
and spaces, accents, full-width forms. What would change a meaning is left alone (`10²` is not `102`).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from clarion_core.domain.sms_text import GSM_CHARACTERS

_NEAREST = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u2035\u2039\u203a\u02b9\u02bb\u02bc`\u00b4", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\u301d\u301e", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043", "-"),
    **dict.fromkeys("\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a", " "),
    **dict.fromkeys("\u202f\u205f\u3000\t", " "),
    **dict.fromkeys("\u2028\u2029\u0085\v", "\n"),
    **dict.fromkeys("\u2022\u2023\u2219\u00b7\u25cf\u25e6", "-"),
    "\u2026": "...",
    "\u2044": "/",
    "\u2215": "/",
    "\u2122": "(TM)",
    "\u00a9": "(c)",
    "\u00ae": "(R)",
    "\u2116": "No.",
    "\u00d7": "x",
    "Đ": "D",
    "đ": "d",
    "Ð": "D",
    "ð": "d",
    "Ħ": "H",
    "ħ": "h",
    "ı": "i",
    "Ł": "L",
    "ł": "l",
    "Œ": "OE",
    "œ": "oe",
    "Ŧ": "T",
    "ŧ": "t",
    "Þ": "Th",
    "þ": "th",
    "ẞ": "SS",
    "ſ": "s",
}
# Compatibility forms that are the same characters in another shape.
_SHAPES = ("<wide>", "<narrow>", "<noBreak>", "<font>", "<compat>")


def transliterated(text: str) -> str:
    """The text in the GSM 7 bit alphabet; or just as it was, where any of it has nothing near to it there.

    So no character is ever dropped, and a text that has to be in UCS-2 anyway keeps its typography.
    """
    if GSM_CHARACTERS.issuperset(text):
        return text
    found: list[str] = []
    base = ""
    for char in unicodedata.normalize("NFC", text):
        if _is_accent(char) and base.isalpha():
            continue
        near = char if char in GSM_CHARACTERS else _near(char)
        if not near:
            return text
        found.append(near)
        base = near
    return "".join(found)


@lru_cache(maxsize=4096)
def _near(char: str) -> str:
    """What is near to a character; nothing where nothing is."""
    if char in _NEAREST:
        return _NEAREST[char]
    shape, _, codes = unicodedata.decomposition(char).rpartition(">")
    if not codes or (shape and f"{shape}>" not in _SHAPES):
        return ""
    parts = [chr(int(code, 16)) for code in codes.split()]
    letters = [part for part in parts if not _is_accent(part)]
    if len(letters) < len(parts) and not (letters and letters[0].isalpha()):
        return ""  # an accent by itself
    near = [part if part in GSM_CHARACTERS else _near(part) for part in letters]
    return "".join(near) if all(near) else ""


def _is_accent(char: str) -> bool:
    return unicodedata.combining(char) != 0
