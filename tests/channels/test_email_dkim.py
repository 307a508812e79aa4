"""Signatures, as dkimpy verifies them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from dkim import canonicalization
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion_workers.channels.email import dkim
from clarion_workers.channels.email.address import Mailbox
from clarion_workers.channels.email.dkim import OVERSIGNED, SIGNED, Key, Signer, relaxed_body
from clarion_workers.channels.email.headers import mailbox, unstructured
from clarion_workers.channels.email.letterhead import Letterhead
from clarion_workers.channels.email.message import BuiltEmail
from clarion_workers.channels.email.mime import MimeBuilder
from support.dkim import both_keys, ed25519_key, rsa_key, signing, verified
from support.emails import email

RSA = Key(domain="example.com", selector="r2026", private=rsa_key())
ED25519 = Key(domain="example.com", selector="e2026", private=ed25519_key())
SPACES = st.lists(st.sampled_from([" ", "\t", "a", "é", "\r\n", "\n", ".", "=", "x" * 80]), max_size=40).map("".join)


def built(letterhead: Letterhead, *, eight_bit: bool = True, **changes: Any) -> BuiltEmail:
    made = MimeBuilder("mail.example.com", letterhead).build(email(**changes), eight_bit=eight_bit)
    assert isinstance(made, BuiltEmail)
    return made


def signed_names(content: bytes) -> list[str]:
    found = re.search(rb"h=([^;]*);", content)
    assert found
    return re.sub(r"\s", "", found[1].decode()).split(":")


@pytest.mark.parametrize("keys", [[RSA], [ED25519], [RSA, ED25519]], ids=["rsa", "ed25519", "both"])
def test_each_key_of_the_senders_domain_signs(keys: list[Key]) -> None:
    content = built(signing(*keys)).content
    assert verified(content, *keys) == [True] * len(keys)
    assert re.findall(rb"a=([a-z0-9-]+);", content) == [key.algorithm.encode() for key in keys]


def test_a_short_rsa_key_signs_too_and_a_long_one() -> None:
    for bits in (1024, 4096):
        key = Key(domain="example.com", selector="s", private=rsa_key(bits))
        assert verified(built(signing(key)).content, key) == [True]


@given(SPACES, SPACES, SPACES, SPACES)
def test_whatever_the_message_holds_the_signature_is_good(subject: str, name: str, text: str, html: str) -> None:
    made = built(signing(ED25519), subject=subject, text=text, html=html, reply_to=f"{name} <help@example.com>")
    assert verified(made.content, ED25519) == [True]
    assert made.content.isascii()
    assert not made.eight_bit


@given(
    st.lists(st.sampled_from([b" ", b"\t", b"a", b"\xc3\xa9", b"\r\n", b"."]), max_size=40).map(
        lambda pieces: b"".join(pieces) + b"\r\n"
    )
)
@settings(deadline=None)  # dkimpy takes its time on a busy machine
def test_a_body_is_canonical_as_dkimpy_says(body: bytes) -> None:
    assert relaxed_body(body) == canonicalization.Relaxed.canonicalize_body(body)
    large = body * (300_000 // len(body))
    assert relaxed_body(large) == canonicalization.Relaxed.canonicalize_body(large)


def test_lines_that_never_come_again_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dkim, "_LINES_KEPT", 10_000)
    for number in range(1_000):
        relaxed_body(b"a line  that is seen once, %d \r\n" % number)
    assert sum(map(len, dkim._relaxed_lines)) < 10_000


@given(SPACES, st.text(max_size=60))
def test_any_header_field_is_signed_as_it_stands(subject: str, name: str) -> None:
    head = mailbox("From", Mailbox(name, "ana@example.com")) + unstructured("Subject", subject) + "CC:\t  x\r\n\ty \r\n"
    content = f"{head}\r\nbody\r\n".encode("utf-8", "replace")
    assert verified(Signer([ED25519]).fields(content, 1) + content, ED25519) == [True]


@pytest.mark.parametrize("field", ["From", "To", "Subject", "Date", "Message-ID", "Reply-To", "Content-Type"])
def test_a_field_changed_is_noticed(field: str) -> None:
    content = built(signing(), reply_to="help@example.com").content
    changed = re.sub(rf"^{field}: (.)".encode(), rf"{field}: x\1".encode(), content, count=1, flags=re.MULTILINE)
    assert changed != content
    assert verified(changed) == [False, False]


@pytest.mark.parametrize("field", OVERSIGNED)
def test_a_field_added_is_noticed(field: str) -> None:
    content = built(signing()).content
    assert verified(f"{field}: evil@example.net\r\n".encode() + content) == [False, False]


def test_a_body_changed_is_noticed() -> None:
    content = built(signing()).content
    assert verified(content.replace(b"Thank you", b"Thank yuo")) == [False, False]


def test_what_servers_do_to_white_space_is_not() -> None:
    content = built(signing(), text="a  b \n\nc\n\n\n", html="").content
    relayed = b"Received: by mx\r\n" + content.replace(b"a  b =20", b"a  b  =20") + b"\r\n\r\n"
    assert verified(relayed) == [True, True]


def test_all_that_a_reader_goes_by_is_signed() -> None:
    content = built(
        signing(), category="transactional", list_unsubscribe=("https://u.example/1",), cc=("boss@example.com",)
    ).content
    names = signed_names(content)
    for field in ("From", "To", "Cc", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"):
        assert names.count(field.lower()) == 2
    assert {"list-unsubscribe", "list-unsubscribe-post", "auto-submitted"} < set(names)
    assert set(names) <= {*OVERSIGNED, *SIGNED}
    assert verified(content) == [True, True]


def test_what_a_provider_sets_itself_is_not_signed() -> None:
    signer = Signer([ED25519], unsigned=("message-id", "date"))
    content = built(Letterhead()).content
    fields = signer.fields(content, 1)
    assert not {"message-id", "date"} & set(signed_names(fields))
    overwritten = re.sub(rb"^(Date|Message-ID): .*\r\n", rb"\1: other\r\n", content, flags=re.MULTILINE)
    assert verified(fields + overwritten, ED25519) == [True]


@pytest.mark.parametrize(
    ("sender", "domain"),
    [
        ("a@example.com", "example.com"),
        ("a@EXAMPLE.com", "example.com"),
        ("a@news.example.com", "news.example.com"),
        ("a@de.news.example.com", "news.example.com"),
        ("a@shop.example.com", "example.com"),
    ],
)
def test_the_nearest_domain_signs(sender: str, domain: str) -> None:
    keys = [*both_keys("example.com"), *both_keys("news.example.com"), *both_keys("example.net")]
    content = built(signing(*keys), sender=sender).content
    assert re.findall(rb"d=([a-z.]+);", content) == [domain.encode()] * 2
    assert verified(content, *keys) == [True, True]


@pytest.mark.parametrize("sender", ["a@example.net", "a@notexample.com", "a@com"])
def test_another_domains_mail_is_not_signed_and_stays_8_bit(sender: str) -> None:
    made = built(signing(), sender=sender, text="Käse und Brot, vom Markt geholt\n", html="")
    assert b"DKIM-Signature" not in made.content
    assert made.eight_bit


def test_the_signature_is_folded_as_people_fold() -> None:
    fields = built(signing(Key(domain="example.com", selector="s", private=rsa_key(4096)))).content
    lines = fields.partition(b"\r\nFrom:")[0].split(b"\r\n")
    assert max(map(len, lines)) <= 78
    assert all(line.startswith(b" ") for line in lines[1:])


def test_a_message_beyond_ascii_in_its_addresses_is_signed_as_it_is() -> None:
    made = built(signing(), to="grüße@example.com")
    assert made.needs_smtputf8
    assert verified(made.content) == [True, True]
