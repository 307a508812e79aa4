"""The MIME builder against the standard library's parser, and against the rules it can't check."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage as Parsed
from email.utils import parsedate_to_datetime

import pytest

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import PermanentFailure
from clarion_workers.channels.email.address import AddressRefused, parse_mailbox
from clarion_workers.channels.email.message import BuiltEmail, EmailMessage
from clarion_workers.channels.email.mime import MimeBuilder
from support.emails import DATE_S, email

from .conftest import shown_name

BUILDER = MimeBuilder("mail.example.com")


def built(message: EmailMessage) -> BuiltEmail:
    made = BUILDER.build(message)
    assert isinstance(made, BuiltEmail)
    return made


def parsed(message: EmailMessage) -> Parsed:
    return message_from_bytes(built(message).content, policy=policy.default)


def encoding_of(text: str) -> str:
    return str(parsed(email(text=text, html=""))["Content-Transfer-Encoding"])


def test_a_message_has_its_fields_once_each() -> None:
    made = built(email(7, reply_to="Help <help@example.com>"))
    names = re.findall(rb"^([!-9;-~]+):", made.content.partition(b"\r\n\r\n")[0], re.MULTILINE)
    assert names == [
        b"From", b"Reply-To", b"To", b"Subject", b"Date", b"Message-ID", b"MIME-Version", b"Content-Type",
    ]  # fmt: skip
    assert (made.mail_from, made.rcpt_to, made.needs_smtputf8) == ("orders@example.com", "ada7@example.com", False)


def test_text_comes_before_html() -> None:
    message = parsed(email(text="plain\n", html="<p>rich</p>"))
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize(("html", "text", "kind"), [("<p>a</p>", "", "html"), ("", "a", "plain"), ("", "", "plain")])
def test_one_body_is_one_part(html: str, text: str, kind: str) -> None:
    message = parsed(email(html=html, text=text))
    assert message.get_content_type() == f"text/{kind}"
    assert message.get_content().rstrip("\r\n") == html + text


def test_the_message_id_is_the_deliverys_and_stays() -> None:
    first, again = parsed(email(3, date_s=DATE_S)), parsed(email(3, date_s=DATE_S + 60))
    assert first["Message-ID"] == again["Message-ID"] == "<00j4k-3@mail.example.com>"


def test_the_date_is_utc() -> None:
    assert parsed(email())["Date"] == "Tue, 24 Nov 2026 08:00:00 +0000"
    assert parsedate_to_datetime(str(parsed(email())["Date"])).timestamp() == DATE_S


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain\n" * 50, "7bit"),
        ("x" * 900, "7bit"),
        ("x" * 901, "quoted-printable"),
        ("tab\tis fine", "7bit"),
        ("nul \0", "quoted-printable"),
        ("form feed \f", "quoted-printable"),
        ("--=_clarion--\n", "quoted-printable"),
        ("--=_clarion\n", "quoted-printable"),
        ("Käse und Brot, vom Markt geholt", "quoted-printable"),
        ("Заказ принят", "base64"),
        ("🎁", "base64"),
    ],
)
def test_the_encoding_is_the_cheapest_that_is_safe(text: str, encoding: str) -> None:
    assert encoding_of(text) == encoding
    assert parsed(email(text=text, html=""))["Content-Transfer-Encoding"] == encoding
    body = parsed(email(text=text)).get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain\n" * 50, "7bit"),
        ("Käse und Brot, vom Markt geholt", "8bit"),
        ("Заказ принят\n.\r\n.🎁", "8bit"),
        ("é" + "x" * 898, "8bit"),
        ("é" + "x" * 899, "quoted-printable"),
        ("é\n" * 500 + "é" + "x" * 899 + "\n" + "é\n" * 500, "base64"),
        ("é --=_clarion--\n und Brot, vom Markt geholt", "quoted-printable"),
        ("nul \0 é und Brot, vom Markt geholt", "quoted-printable"),
    ],
)
def test_what_a_server_takes_as_it_is_stays_as_it_is(text: str, encoding: str) -> None:
    made = BUILDER.build(email(text=text, html=""), eight_bit=True)
    assert isinstance(made, BuiltEmail)
    message = message_from_bytes(made.content, policy=policy.default)
    assert message["Content-Transfer-Encoding"] == encoding
    assert message.get_content().replace("\r\n", "\n").rstrip("\n") == text.replace("\r\n", "\n").rstrip("\n")
    assert made.eight_bit == (encoding == "8bit")


def test_no_line_is_too_long_and_no_octet_too_wide() -> None:
    for text in ("x" * 5000, "é" * 5000, "word " * 2000, "=" * 3000, "a" * 74 + "é" * 40):
        content = built(email(text=text, html=text, subject=text)).content
        assert content.isascii()
        assert max(map(len, content.split(b"\r\n"))) <= 998
        head = content.partition(b"\r\n\r\n")[0]
        assert max(map(len, head.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    "subject",
    [
        "Your order",
        "x" * 300,
        "word " * 60 + "end",
        "two  spaces",
        "Größe",
        "ご注文ありがとうございます。" * 10,
        "🎁" * 80,
        "=?utf-8?q?a=0D=0ABcc:_evil@x.com?=",
        "=?", "?=", "a =?utf-8?b?YQ==?= b", "=? utf", "é =?utf-8?q?x?= é",
        "a_b", "", "'\"\\<>,;:@", "=" * 70,
    ],
)  # fmt: skip
def test_a_subject_reads_as_it_was_given(subject: str) -> None:
    assert str(parsed(email(subject=subject))["Subject"]) == subject


@pytest.mark.parametrize(
    ("subject", "clean"),
    [
        ("a\r\nBcc: evil@x.com", "a Bcc: evil@x.com"),
        ("a\tb\0c\x0bd\x0ce", "a b c d e"),
        ("a\x85b\u2028c\u2029d\x7fe", "a b c d e"),
        ("  a \r\n", "a"),
    ],
)
def test_control_characters_in_a_subject_become_one_space(subject: str, clean: str) -> None:
    message = parsed(email(subject=subject))
    assert str(message["Subject"]) == clean
    assert "Bcc" not in message


@pytest.mark.parametrize(
    "name",
    [
        "Shop", "Shop, Inc.", 'The "Shop"', "Bücher & Mehr", "Магазин " * 12, "O'Neil (sales)", "a@b", "back\\slash",
        "=?utf-8?q?a=0D=0ABcc:_evil@x.com?=", "Long name of a very respectable company, with departments", "<x>",
    ],
)  # fmt: skip
def test_a_display_name_reads_as_it_was_given(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    made = parsed(email(sender=f'"{quoted}" <orders@example.com>'))
    [address] = made["From"].addresses
    assert address.addr_spec == "orders@example.com"
    assert shown_name(built(email(sender=f'"{quoted}" <orders@example.com>')).content) == name.strip()
    assert max(map(len, built(email(sender=f'"{quoted}" <orders@example.com>')).content.split(b"\r\n"))) <= 78


@pytest.mark.parametrize("text", ["orders@example.com", "<orders@example.com>", " Shop  <orders@example.com> "])
def test_a_mailbox_may_be_written_in_three_ways(text: str) -> None:
    assert parse_mailbox(text).address == "orders@example.com"


BAD = [
    "", "a", "a@", "@b.com", "a b@c.com", "a@b c.com", "a\r\n@b.com", "a@b.com\r\nRCPT TO:<evil@x.com>",
    "a@b.com\n", "a<b@c.com", "a>b@c.com", "a@b.com>", "a@b@c.com", "a,b@c.com", "a;b@c.com", '"a b"@c.com',
    "a..b@c.com", ".a@c.com", "a@-b.com", "a@b..com", "a@[127.0.0.1]", "a\0@b.com", "a\u2028@b.com",
    "a\u00a0b@c.com", "é@b.com\x7f", "a@b\u3002.com", "x" * 255 + "@b.com", "é" * 125 + "@b.com",
    "=?utf-8?q?a?=@b.com", "a@xn--a.com\u0080", "\ud800@b.com", "a@\ud800.com",
]  # fmt: skip


@pytest.mark.parametrize("address", BAD)
def test_an_address_that_can_not_be_carried_is_refused(address: str) -> None:
    refused = BUILDER.build(email(to_address=address))
    assert isinstance(refused, PermanentFailure)
    assert refused.reason is Reason.RECIPIENT_REFUSED
    assert not address or len(address) < 4 or address not in refused.detail


@pytest.mark.parametrize("field", ["sender", "reply_to"])
@pytest.mark.parametrize("text", ["Shop <a b@c.com>", "Shop a@b.com", "Shop <a@b.com>\r\nBcc: x@y.com", "Shop"])
def test_a_sender_that_can_not_be_carried_is_refused(field: str, text: str) -> None:
    refused = BUILDER.build(email(sender=text) if field == "sender" else email(reply_to=text))
    assert isinstance(refused, PermanentFailure)
    assert refused.reason is Reason.MESSAGE_REFUSED
    assert refused.detail.startswith(f"{field}: ")
    with pytest.raises(AddressRefused):
        parse_mailbox(text)


@pytest.mark.parametrize("delivery_id", ["", "a b", "a\r\nb", "<a>", "x" * 201])
def test_a_delivery_id_that_is_no_part_of_a_message_id_is_refused(delivery_id: str) -> None:
    assert isinstance(BUILDER.build(email(delivery_id=delivery_id)), PermanentFailure)


def test_half_a_character_is_replaced_not_raised() -> None:
    message = parsed(email(subject="a \ud800", text="b \ud800\n", html=""))
    assert (str(message["Subject"]), message.get_content().strip()) == ("a ?", "b ?")


def test_a_message_id_domain_must_be_one() -> None:
    with pytest.raises(ValueError, match="message_id_domain"):
        MimeBuilder("a>\r\nBcc: x@y.com")
