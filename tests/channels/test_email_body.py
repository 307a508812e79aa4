"""Bodies against the standard library's encoders, which take a text as a whole and keep nothing."""

from __future__ import annotations

from base64 import encodebytes
from binascii import b2a_qp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion_workers.channels.email import body as module
from clarion_workers.channels.email.body import body
from clarion_workers.channels.email.message import BuiltEmail
from clarion_workers.channels.email.mime import MimeBuilder
from clarion_workers.channels.email.session import stuffed, wire_form
from support.emails import email

PIECES = ["\n", "\n", "\n.", ".", " ", "\t", "=", "é", "Ж", "word ", "x" * 74, "x" * 75, "x" * 76, "--=_", "\0", "\x7f"]
TEXT = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def encoded(text: str) -> tuple[str, bytes]:
    """How a text alone is encoded, and as what."""
    head, _, data = b"".join(body(text.encode(), b"").pieces).partition(b"\r\n\r\n")
    return head.rpartition(b" ")[2].decode(), data


def oracle(encoding: str, text: str) -> bytes:
    data = text.encode()
    if encoding == "quoted-printable":
        written = b2a_qp(data).replace(b"\n", b"\r\n")
    elif encoding == "base64":
        written = encodebytes(data.replace(b"\n", b"\r\n")).rstrip(b"\n").replace(b"\n", b"\r\n")
    else:
        written = data.replace(b"\n", b"\r\n")
    return written if not written or written.endswith(b"\r\n") else written + b"\r\n"


@given(TEXT)
def test_lines_one_by_one_come_to_what_the_standard_library_makes_of_the_whole(text: str) -> None:
    encoding, data = encoded(text)
    assert data == oracle(encoding, text)


@pytest.mark.parametrize("octets", [0, 1, 56, 57, 58, 113, 114, 115, 5_700, 5_701])
def test_base64_of_any_length_is_the_standard_librarys(octets: int) -> None:
    text = "ж" * (octets // 2) + "x" * (octets % 2)
    encoding, data = encoded(text)
    assert encoding == "base64" or octets < 2
    assert data == oracle(encoding, text)


@given(TEXT, TEXT, st.booleans())
def test_a_message_is_sent_as_if_all_of_it_had_been_looked_through(text: str, html: str, eight_bit: bool) -> None:
    built = MimeBuilder("mail.example.com").build(email(text=text, html=html), eight_bit=eight_bit)
    assert isinstance(built, BuiltEmail)
    assert built.crlf_only
    assert built.dotless == (stuffed(built.content) == built.content)
    assert wire_form(built) == stuffed(built.content)
    assert built.eight_bit == (not built.content.isascii())
    assert eight_bit or not built.eight_bit


@given(TEXT)
def test_no_line_is_longer_than_a_line_may_be(text: str) -> None:
    data = text.encode() * 40
    lines = b"".join(body(data, b"", eight_bit=True).pieces).split(b"\r\n")
    assert max(map(len, lines)) <= 900


def test_a_dot_is_seen_whether_or_not_its_line_is_known_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINES_KEPT", 1_000)  # forgets after every other text
    plain = "".join(f"Käse und Brot {number}\n" for number in range(100)).encode()
    for number in range(20):
        for dotted in (".Käse\n", f".{number}\n", "x" * 75 + ".é\n", ".x"):
            assert not body(plain + dotted.encode(), b"").dotless
            assert body(plain, ("é" + "x" * 900).encode()).dotless


def test_lines_that_never_come_again_are_not_kept_for_ever() -> None:
    for number in range(200):
        text = f"Käse und Brot vom Markt, {number}\n" * 10 + f"é {number} vom Markt" * 2_000 + "\n"
        body(text.encode(), b"")
    kept = sum(len(line) + len(written) for line, written in module._quoted_lines.items())
    assert kept < 2 * module._LINES_KEPT
