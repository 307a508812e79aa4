"""Header fields that read back as exactly the text they were given, whatever it holds.

What is not plain ASCII words, or could be taken for an encoded word, becomes encoded words (RFC 2047): base64 where
there is anything but ASCII, quoted-printable else. Lines stay within 78 characters, 76 with encoded words (RFC 5322
§2.1.1, RFC 2047 §2). Control characters never reach a field.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Iterator, Sequence
from string import ascii_letters, digits

from clarion_workers.channels.email.address import Mailbox

_LINE_MAX = 78
_WORD_MAX = 75  # of an encoded word
_WORD_LINE_MAX = 76  # of a line that holds one
_FRAME = len("=?utf-8?b??=")

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_WORDS = re.compile(r"[!-~]{1,60}(?: [!-~]{1,60})*")
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*")
_UNQUOTED = re.compile(r'(["\\])')
# RFC 2047 §5 (3): these alone may stand for themselves in a display name; a subject may hold more but need not.
_STANDS = {ord(c): c for c in ascii_letters + digits + "!*+-/"} | {ord(" "): "_"}
_Q = [_STANDS.get(octet, f"={octet:02X}") for octet in range(256)]
_PLAIN_MAX = 60  # characters of a parameter's value on one line
_ATTRIBUTE = frozenset(f"{ascii_letters}{digits}!#$&+-.^_`{{|}}~".encode())  # RFC 2231 §7
_EXTENDED = [chr(octet) if octet in _ATTRIBUTE else f"%{octet:02X}" for octet in range(256)]
_CHUNK = re.compile(r"(?:%[0-9A-F]{2}|[^%]){1,20}")  # 60 characters at most


def clean(text: str) -> str:
    """The text on one line: each run of control characters or line ends is one space, none at either end."""
    if not text.isprintable():
        text = _CONTROLS.sub(" ", text)
    return text.strip(" ")


def unstructured(name: str, text: str) -> str:
    """The field `name` holding free text, folded, with its CRLF. The text is cleaned."""
    text = clean(text)
    if not text:
        return f"{name}:\r\n"
    if "=?" in text or not _WORDS.fullmatch(text):
        return f"{name}: {_encoded(text, _WORD_LINE_MAX - len(name) - 2)}\r\n"
    if len(name) + 2 + len(text) <= _LINE_MAX:
        return f"{name}: {text}\r\n"
    return f"{name}:{_folded(text, len(name) + 1)}\r\n"


def mailbox(name: str, box: Mailbox) -> str:
    """The field `name` holding one mailbox, folded, with its CRLF. The display name is cleaned."""
    return f"{name}: {_box(box, len(name) + 2)}\r\n"


def mailboxes(name: str, boxes: Sequence[Mailbox]) -> str:
    """The field `name` holding some mailboxes, one a line, with its CRLF. Display names are cleaned."""
    first, *rest = boxes
    lines = ",\r\n ".join((_box(first, len(name) + 2), *(_box(box, 1) for box in rest)))
    return f"{name}: {lines}\r\n"


def parameter(name: str, text: str) -> str:
    """A parameter of a field, such as a file's name, with the semicolon and line end before it (RFC 2231 where needed).

    The text is clean.
    """
    if text.isascii() and len(text) <= _PLAIN_MAX and text.isprintable():
        quoted = _UNQUOTED.sub(r"\\\1", text)
        return f';\r\n {name}="{quoted}"'
    data = "utf-8''" + "".join([_EXTENDED[octet] for octet in text.encode("utf-8", "replace")])
    if len(data) <= _PLAIN_MAX:
        return f";\r\n {name}*={data}"
    lines = _CHUNK.findall(data)
    return "".join(f";\r\n {name}*{number}*={line}" for number, line in enumerate(lines))


def _box(box: Mailbox, used: int) -> str:
    """A mailbox on a line of which so much is used."""
    shown = clean(box.name)
    if not shown:
        return box.address
    phrase = _phrase(shown, _WORD_LINE_MAX - used)
    used = len(phrase) + used if "\r\n" not in phrase else _LINE_MAX
    gap = " " if used + len(box.address) + 3 <= _WORD_LINE_MAX else "\r\n "
    return f"{phrase}{gap}<{box.address}>"


def _phrase(shown: str, room: int) -> str:
    if shown.isascii() and len(shown) <= room - 2 and "=?" not in shown:
        if _PHRASE.fullmatch(shown):
            return shown
        quoted = '"' + _UNQUOTED.sub(r"\\\1", shown) + '"'
        if len(quoted) <= room:
            return quoted
    return _encoded(shown, room)


def _folded(text: str, used: int) -> str:
    parts = []
    for word in text.split(" "):
        if used + 1 + len(word) > _LINE_MAX:
            parts.append("\r\n")
            used = 0
        parts.append(" " + word)
        used += 1 + len(word)
    return "".join(parts)


def _encoded(text: str, room: int) -> str:
    """Encoded words, one a line; `room` is what the first line leaves."""
    return "\r\n ".join(_q_words(text, room) if text.isascii() else _b_words(text.encode("utf-8", "replace"), room))


def _b_words(data: bytes, room: int) -> Iterator[str]:
    start, end = 0, 0
    while start < len(data):
        end = start + (room - _FRAME) // 4 * 3
        # A word holds whole characters (RFC 2047 §5): step back over the bytes that continue one.
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        yield f"=?utf-8?b?{b2a_base64(data[start:end], newline=False).decode('ascii')}?="
        start, room = end, _WORD_MAX


def _q_words(text: str, room: int) -> Iterator[str]:
    word: list[str] = []
    left = room - _FRAME
    for octet in text.encode("ascii"):
        shown = _Q[octet]
        if len(shown) > left:
            yield f"=?utf-8?q?{''.join(word)}?="
            word, left = [], _WORD_MAX - _FRAME
        word.append(shown)
        left -= len(shown)
    yield f"=?utf-8?q?{''.join(word)}?="
