"""10,000 generated messages, parsed back: nobody can add a header, an envelope or the end of a message."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage as Parsed
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion_core.domain.outcome import PermanentFailure
from clarion_workers.channels.email.message import BuiltEmail
from clarion_workers.channels.email.mime import MimeBuilder
from clarion_workers.channels.email.session import stuffed, wire_form
from support.emails import email

from .conftest import shown_name

BUILDER = MimeBuilder("mail.example.com")
MESSAGES_AN_EXAMPLE = 10
EXAMPLES = 1_000

LINE_ENDS = ["\r\n", "\n", "\r", "\n\r", "\r\n\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
DOTS = ["\r\n.\r\n", "\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", ".", ".."]
ENCODED = [
    "=?utf-8?q?a=0D=0ABcc:_evil@x.com?=", "=?utf-8?b?DQpCY2M6IGV2aWxAeC5jb20=?=", "=?iso-2022-jp?b?GyRC?=",
    "=?utf-8?q?=00?=", "=?", "?=", "=", "?", "_", "=20", "=\r\n",
]  # fmt: skip
COMMANDS = [
    "Bcc: evil@x.com", "\r\nBcc: evil@x.com\r\n", "\nSubject: other", "MAIL FROM:<evil@x.com>\r\n",
    "RCPT TO:<evil@x.com>", "--=_clarion", "--=_clarion--", "\r\n--=_clarion\r\n", "From ",
]  # fmt: skip
SIGNS = ["\0", "\t", "\x7f", "\ufeff", "\u200d", " ", "  ", ": ", ";", ",", "<", ">", "@", '"', "\\", "(", ")"]
WORDS = [
    "é",
    "ß",
    "Ж",
    "注文",
    "🎁",
    "👨‍👩‍👧",
    "e\u0301",
    "a",
    "order",
    "x" * 80,
    "é" * 40,
    "y" * 1000,
    "words and words ",
]
PIECES = [*LINE_ENDS, *DOTS, *ENCODED, *COMMANDS, *SIGNS, *WORDS]
NASTY = st.lists(st.sampled_from([*PIECES, *map(chr, range(0xA0, 0x3000, 97))]), max_size=6).map("".join)
# Mostly good ones: a refused address ends the examination of its message.
GOOD = st.sampled_from(["ada@example.com", "a.d+a@bücher.example", "ädä@example.com"])
ADDRESS = GOOD | st.builds("{}{}@{}.com{}".format, st.sampled_from(["", "ada"]), NASTY, st.just("example"), NASTY)
MESSAGE = st.tuples(NASTY, NASTY, ADDRESS, NASTY, NASTY, GOOD | st.just("") | NASTY)
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
FIELD = re.compile(rb"[!-9;-~]+(?=:)")
HEADERS = [b"From", b"Reply-To", b"To", b"Subject", b"Date", b"Message-ID", b"MIME-Version", b"Content-Type"]


def cleaned(text: str) -> str:
    return CONTROLS.sub(" ", text).strip(" ")


def lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def header_names(content: bytes) -> list[bytes]:
    """The names in the header block, by our own reading of RFC 5322."""
    names = []
    for line in content.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        if not line.startswith(b" "):
            found = FIELD.match(line)
            assert found, line
            names.append(found[0])
    return names


def read_as_server(wire: bytes) -> bytes:
    """What a lenient server takes, which ends a message at any dot alone on a line, however the line ends."""
    whole, rest = re.split(rb"(?:\A|(?<=\r\n)|(?<=\n)|(?<=\r))\.(?:\r\n|\r|\n)", wire, maxsplit=1)
    assert rest == b""
    return re.sub(rb"(?m)(?:\A|(?<=\r\n))\.", b"", whole)


def check(name: str, subject: str, to: str, text: str, html: str, reply_to: str, *, eight_bit: bool) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    sender = f'"{quoted}" <orders@example.com>'
    message = email(sender=sender, subject=subject, to_address=to, text=text, html=html, reply_to=reply_to)
    made = BUILDER.build(message, eight_bit=eight_bit)
    if isinstance(made, PermanentFailure):
        assert not {to, reply_to} <= {"ada@example.com", "a.d+a@bücher.example", "ädä@example.com", ""}
        return
    check_envelope(made, to)
    assert wire_form(made) == stuffed(made.content)
    content = read_as_server(wire_form(made) + b".\r\n")
    assert content == made.content
    expected = [name for name in HEADERS if reply_to or name != b"Reply-To"]
    assert header_names(content) == expected + [b"Content-Transfer-Encoding"] * (not (text and html))
    parsed = message_from_bytes(content, policy=policy.default)
    assert [name.encode() for name in parsed] == header_names(content)
    assert str(parsed["Subject"]) == cleaned(subject)
    assert len(parsed["To"].addresses) == len(parsed["From"].addresses) == 1
    assert shown_name(content) == cleaned(name)
    check_bodies(parsed, text, html)


def check_envelope(made: BuiltEmail, to: str) -> None:
    for address in (made.mail_from, made.rcpt_to):
        assert not re.search(r"[\s<>\x00-\x1f\x7f-\x9f]", address)
        assert len(address.encode()) <= 254
        assert address.count("@") == 1
    assert made.rcpt_to.partition("@")[0] == to.partition("@")[0]
    assert made.needs_smtputf8 or made.eight_bit or made.content.isascii()


def check_bodies(parsed: Parsed, text: str, html: str) -> None:
    parts = list(parsed.iter_parts()) if text and html else [parsed]
    wanted = [body for body in (text, html) if body] or [""]
    assert len(parts) == len(wanted)
    for part, body in zip(parts, wanted, strict=True):
        assert not cast("Parsed", part).is_multipart()
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        got = lines(payload.decode())
        assert got == lines(body) or (len(parts) == 1 and got == lines(body) + "\n")


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(MESSAGE, min_size=MESSAGES_AN_EXAMPLE, max_size=MESSAGES_AN_EXAMPLE))
@pytest.mark.timeout(300)  # minutes on a machine that is busy with other things
def test_ten_thousand_messages_read_back_as_what_was_given_and_nothing_more(
    messages: list[tuple[str, str, str, str, str, str]],
) -> None:
    for number, message in enumerate(messages):
        check(*message, eight_bit=number % 2 == 0)
