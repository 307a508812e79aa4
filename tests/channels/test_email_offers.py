"""What a server says it can, as it is read from its answer to EHLO."""

from __future__ import annotations

from clarion_workers.channels.email.replies import Offers, parse_offers


def test_offers_are_read_from_ehlo() -> None:
    text = b"mx.example.com hello\nPIPELINING\nsize 1000\n8BITMIME\nauth PLAIN login\nAUTH=XOAUTH2\nSTARTTLS\nSMTPUTF8"
    assert parse_offers(text) == Offers(
        pipelining=True,
        eight_bit=True,
        smtputf8=True,
        starttls=True,
        size=1000,
        auth=frozenset({"PLAIN", "LOGIN", "XOAUTH2"}),
    )
    assert parse_offers(b"mx.example.com\nSIZE") == Offers(size=0)
    assert parse_offers(b"PIPELINING") == Offers()
    assert parse_offers(b"mx.example.com\nDSN") == Offers(dsn=True)
    assert parse_offers(b"mx.example.com\nDELIVERBY 240\nSIZE") == Offers(size=0, deliver_by=240)
