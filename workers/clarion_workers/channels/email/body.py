"""Bodies as bytes: each part in the cheapest encoding that is safe.

Whatever the encoding, a line of a part ends with CRLF and holds no other CR or LF: they are made here, from text that
has been parted into lines. `binascii` is the oracle of this module's tests.
"""

from __future__ import annotations

import struct
from binascii import b2a_base64, b2a_qp
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

# `=_` is never in quoted-printable or base64 (RFC 2045 §6.7), and a body that holds it is not left as it is: so the
# boundary can't be met in a part, and needs no random part.
BOUNDARY = "=_clarion"
_MARK = b"--=_"

_LINE_MAX = 900  # octets that a line may have and stay as it is; RFC 5322 §2.1.1 forbids more than 998
_BASE64_LINE = 76  # characters of a line of base64 (RFC 2045 §6.8)
_LINES_KEPT = 1 << 21  # octets of lines, plain and encoded, that are kept
_CONTINUED = bytes(range(0x80, 0xC0))  # octets of a UTF-8 character, but its first
_SHOWN = bytes([*b"\t\n", *range(0x20, 0x7F), *range(0x80, 0x100)])


def _part_head(subtype: str, encoding: str) -> bytes:
    return (f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n").encode()


_ENCODINGS = ("7bit", "8bit", "quoted-printable", "base64")
# The plainest first (RFC 2046 §5.1.4), AMP before HTML: some programs look at the last one alone.
_KINDS = ("plain", "x-amp-html", "html")
_HEADS = {(kind, encoding): _part_head(kind, encoding) for kind in _KINDS for encoding in _ENCODINGS}


class Body(NamedTuple):
    """Content fields, an empty line and the part or parts, ended by CRLF.

    `dotless`: no line begins with a dot. `eight_bit`: there are octets beyond ASCII.
    """

    pieces: tuple[bytes, ...]  # joined once, with the header fields
    dotless: bool
    eight_bit: bool


class _QuotedLines(dict[bytes, bytes]):
    """Lines and how quoted-printable writes them, which does not depend on the lines around them.

    Most lines are the same in all of a campaign's messages, and looking one up costs a tenth of encoding it.
    """

    def __init__(self) -> None:
        self._size = 0
        self._dotted = set[bytes]()  # those that are written with a dot at the beginning of a line

    def __missing__(self, line: bytes) -> bytes:
        # With its line end: white space before one must be encoded (RFC 2045 §6.7).
        written = b2a_qp(line + b"\n")[:-1].replace(b"\n", b"\r\n")
        self._size += len(line) + len(written)
        if not _is_dotless(written):
            self._dotted.add(line)
        self[line] = written
        return written

    def write(self, data: bytes) -> tuple[bytes, bool]:
        """The whole text, and whether it is dotless."""
        if self._size > _LINES_KEPT:
            self.clear()
            self._dotted.clear()
            self._size = 0
        lines = data.split(b"\n")
        last = b2a_qp(lines.pop()).replace(b"\n", b"\r\n")  # the text ends here, its last line does not
        written = b"\r\n".join((*map(self.__getitem__, lines), last))
        dotless = (not self._dotted or self._dotted.isdisjoint(lines)) and _is_dotless(last)
        return written, dotless


_quoted_lines = _QuotedLines()


def body(text: bytes, html: bytes, amp: bytes = b"", *, eight_bit: bool = False) -> Body:
    """The texts as one part, or as alternatives. Line ends may be CR, LF or CRLF; any of the texts may be empty.

    The texts are UTF-8. `eight_bit`: octets beyond ASCII may stay as they are.
    """
    texts = [(kind, data) for kind, data in zip(_KINDS, (text, amp, html), strict=True) if data]
    if len(texts) > 1:
        return multipart("alternative", BOUNDARY, [_part(kind, data, eight_bit) for kind, data in texts])
    part = _part(*(texts[0] if texts else ("plain", b"")), eight_bit)
    written = part.pieces[-1]
    ended = not written or written.endswith(b"\r\n")
    return part if ended else part._replace(pieces=(*part.pieces, b"\r\n"))


def multipart(subtype: str, boundary: str, parts: Sequence[Body], parameters: str = "") -> Body:
    """The parts as one; `boundary` begins with `=_` and is no beginning of another one in the message."""
    begin, between, end = _joints(subtype, boundary, parameters)
    pieces = [begin, *parts[0].pieces]
    for part in parts[1:]:
        pieces += (between, *part.pieces)
    pieces.append(end)
    return Body(tuple(pieces), all(part.dotless for part in parts), any(part.eight_bit for part in parts))


@lru_cache(maxsize=32)
def _joints(subtype: str, boundary: str, parameters: str) -> tuple[bytes, bytes, bytes]:
    """What stands before, between and after the parts. The CRLF before a boundary is the boundary's."""
    head = f'Content-Type: multipart/{subtype}; boundary="{boundary}"{parameters}\r\n\r\n'
    return f"{head}--{boundary}\r\n".encode(), f"\r\n--{boundary}\r\n".encode(), f"\r\n--{boundary}--\r\n".encode()


def _part(subtype: str, data: bytes, eight_bit: bool) -> Body:
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    encoding = _encoding(data, eight_bit)
    if encoding == "base64":
        written, dotless = base64_lines(data.replace(b"\n", b"\r\n")), True
    elif encoding == "quoted-printable":
        written, dotless = _quoted_lines.write(data)
    else:
        written = data.replace(b"\n", b"\r\n")
        dotless = _is_dotless(written)
    return Body((_HEADS[subtype, encoding], written), dotless, encoding == "8bit")


def _encoding(data: bytes, eight_bit: bool) -> str:
    is_ascii = data.isascii()
    if (is_ascii or eight_bit) and _may_stay(data):
        return "7bit" if is_ascii else "8bit"
    # A character beyond ASCII costs quoted-printable 6 octets or more, base64 a third of everything.
    return "base64" if not is_ascii and _is_mostly_foreign(data) else "quoted-printable"


def _may_stay(data: bytes) -> bool:
    return not data.translate(None, _SHOWN) and _MARK not in data and _has_short_lines(data)


def _has_short_lines(data: bytes) -> bool:
    """Whether no line is longer than `_LINE_MAX`: looks at one line end in so many octets, which tells."""
    start, end = 0, len(data)
    while end - start > _LINE_MAX:
        found = data.rfind(b"\n", start, start + _LINE_MAX + 1)
        if found < 0:
            return False
        start = found + 1
    return True


def _is_mostly_foreign(data: bytes) -> bool:
    continued = len(data) - len(data.translate(None, _CONTINUED))
    return continued * 12 > len(data) - continued


def base64_lines(data: bytes) -> bytes:
    """The data in lines of base64, the last one without its end."""
    written = b2a_base64(data, newline=False)
    lines = len(written) // _BASE64_LINE
    rest = written[lines * _BASE64_LINE :]
    return b"\r\n".join((*_columns(lines).unpack_from(written), rest) if rest else _columns(lines).unpack(written))


@lru_cache(maxsize=128)
def _columns(lines: int) -> struct.Struct:
    """Cuts so many lines of base64 in one call, which is three times as fast as slicing."""
    return struct.Struct(f"{_BASE64_LINE}s" * lines)


def _is_dotless(written: bytes) -> bool:
    return not written.startswith(b".") and b"\r\n." not in written
