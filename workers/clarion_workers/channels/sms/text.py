"""A text as the octets of its segments.

How many segments there are and where they part is decided in the core (`segments`, `parted`): servers count them too.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from clarion_core.domain.sms_text import BASIC, ESCAPE, EXTENSION, Alphabet, alphabet_of, parted, segments
from clarion_core.domain.transliteration import transliterated

__all__ = ["Coded", "DataCoding", "alphabet_of", "coded", "gsm_octets", "gsm_text", "segments", "transliterated"]

DefaultAlphabet = Literal["gsm", "latin1"]
"""What an SMSC takes the octets of its default alphabet for."""

_ESCAPE_CODE = BASIC.index(ESCAPE)
# To ASCII, whose octets are their own code points; what is ASCII and not in the alphabet must not pass for a code.
_TO_CODES = (
    dict.fromkeys(range(0x80), "\uffff")
    | {ord(char): chr(code) for code, char in enumerate(BASIC) if char != ESCAPE}
    | {ord(char): ESCAPE + chr(code) for char, code in EXTENSION.items()}
)
_FROM_EXTENSION = {code: char for char, code in EXTENSION.items()}
_CONCATENATED = b"\x05\x00\x03"  # header of 5 octets; element 0: a reference of 8 bits; 3 octets of it


class DataCoding(IntEnum):
    """What an SMSC is told of the octets (SMPP 3.4 §5.2.19)."""

    DEFAULT = 0
    LATIN1 = 3
    UCS2 = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A text's segments in octets; of several, each begins with the header that says which it is."""

    coding: DataCoding
    segments: tuple[bytes, ...]

    @property
    def concatenated(self) -> bool:
        """Whether there are headers."""
        return len(self.segments) > 1


def coded(text: str, reference: int, default_alphabet: DefaultAlphabet = "gsm") -> Coded:
    """The text's segments; `reference`, of which 8 bits are used, is what a handset puts them together by.

    GSM octets are not packed: one septet an octet, as SMSCs take them. An SMSC whose default alphabet is Latin-1 makes
    septets of it itself; a text with what Latin-1 lacks (the euro sign, Greek letters) goes there in UCS-2.
    `ValueError` where there are more segments than SEGMENTS_MAX.
    """
    if default_alphabet == "gsm":
        with suppress(UnicodeEncodeError):
            alone = gsm_octets(text)
            if len(alone) <= Alphabet.GSM7.alone:  # most texts are: nothing more is to be known of them
                return Coded(coding=DataCoding.DEFAULT, segments=(alone,))
    octets = _octets(text, default_alphabet)
    if len(octets.segments) == 1:
        return octets
    head = _CONCATENATED + bytes((reference & 0xFF, len(octets.segments)))
    numbered = enumerate(octets.segments, 1)
    return Coded(coding=octets.coding, segments=tuple(head + bytes((number,)) + part for number, part in numbered))


def _octets(text: str, default_alphabet: DefaultAlphabet) -> Coded:
    found = parted(text)
    if found.alphabet is Alphabet.GSM7:
        if default_alphabet == "gsm":
            return Coded(coding=DataCoding.DEFAULT, segments=tuple(map(gsm_octets, found.parts)))
        with suppress(UnicodeEncodeError):
            latin = tuple(part.encode("latin-1") for part in found.parts)
            return Coded(coding=DataCoding.DEFAULT, segments=latin)
    wide = parted(text, Alphabet.UCS2).parts
    return Coded(coding=DataCoding.UCS2, segments=tuple(part.encode("utf-16-be", "replace") for part in wide))


def gsm_octets(text: str) -> bytes:
    """The text in GSM 7 bit, one septet an octet. `UnicodeEncodeError` where the alphabet lacks a character."""
    return text.translate(_TO_CODES).encode("ascii")


def gsm_text(octets: bytes) -> str:
    """What GSM 7 bit octets say; an unknown extension is what it is without the escape (TS 23.038 §6.2.1.1)."""
    found: list[str] = []
    escaped = False
    for octet in octets:
        code = octet & 0x7F
        if escaped:
            found.append(_FROM_EXTENSION.get(code) or (" " if code == _ESCAPE_CODE else BASIC[code]))
            escaped = False
        elif code == _ESCAPE_CODE:
            escaped = True
        else:
            found.append(BASIC[code])
    return "".join(found)
