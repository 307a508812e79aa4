"""Text messages as networks carry them: which alphabet, how many segments, where a long text is parted.

GSM 7 bit default alphabet and its extension table: 3GPP TS 23.038 §6.2.1; UCS-2 (§6.2.3) carries UTF-16, as handsets
read it. Concatenation: 3GPP TS 23.040 §9.2.3.24.1, whose header takes 6 of a segment's 140 octets. National shift
tables (TS 23.038 Annex A) are not used: many networks do not carry them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The 128 characters of the default alphabet, in order; the escape to the extension table stands at 0x1B."""

EXTENSION = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
"""Characters that an escape announces: two septets each."""

ESCAPE = "\x1b"
GSM_CHARACTERS = frozenset(BASIC) - {ESCAPE} | EXTENSION.keys()
SEGMENTS_MAX = 255
"""Segments that one text can have: their number is an octet of the header."""

_EXTENDED = frozenset(EXTENSION)


class Alphabet(Enum):
    """What a text is carried in; `alone` and `each` are the units of a text's only segment, and of one of several."""

    GSM7 = "GSM7", 160, 153  # septets: 140 x 8 / 7, and less 6 octets of header and a bit of filling
    UCS2 = "UCS2", 70, 67  # 16 bits: 140 / 2, and less 6 octets of header

    def __init__(self, name: str, alone: int, each: int) -> None:
        self.title, self.alone, self.each = name, alone, each

    def units(self, text: str) -> int:
        """How many septets or 16-bit units the text takes."""
        wide = _EXTENDED if self is Alphabet.GSM7 else _beyond_plane_0(text)
        return len(text) if wide.isdisjoint(text) else len(text) + sum(map(text.count, wide))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parted:
    """A text in the parts that its segments carry; an empty text has one empty part."""

    alphabet: Alphabet
    parts: tuple[str, ...]


def alphabet_of(text: str) -> Alphabet:
    """GSM7 where that holds every character, else UCS2."""
    return Alphabet.GSM7 if GSM_CHARACTERS.issuperset(text) else Alphabet.UCS2


def segments(text: str) -> int:
    """How many segments carry the text, 1 at least. It may be more than SEGMENTS_MAX, and then it can't be sent."""
    alphabet = alphabet_of(text)
    units = alphabet.units(text)
    if units <= alphabet.alone:
        return 1
    if units == len(text):  # nothing in it takes two units
        return -(-units // alphabet.each)
    return sum(1 for _ in _parts(text, alphabet))


def parted(text: str, alphabet: Alphabet | None = None) -> Parted:
    """The text in its parts. No character is parted: neither an escape from what follows it, nor a surrogate pair.

    Without an alphabet, in its own.
    """
    alphabet = alphabet or alphabet_of(text)
    alone = alphabet.units(text) <= alphabet.alone
    return Parted(alphabet=alphabet, parts=(text,) if alone else tuple(_parts(text, alphabet)))


def _parts(text: str, alphabet: Alphabet) -> Iterator[str]:
    wide = _EXTENDED if alphabet is Alphabet.GSM7 else _beyond_plane_0(text)
    begin = taken = 0
    for index, char in enumerate(text):
        size = 2 if char in wide else 1
        if taken + size > alphabet.each:
            yield text[begin:index]
            begin, taken = index, 0
        taken += size
    yield text[begin:]


def _beyond_plane_0(text: str) -> frozenset[str]:
    """What UTF-16 writes as a surrogate pair."""
    if text.isascii():
        return frozenset()
    return frozenset(char for char in text if char > "\uffff")
