"""E-mail addresses: whether something is one, and the form in which Clarion uses it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import email_validator

# What is plainly an address in its normal form: most are, and the library takes 20 microseconds to say so. Every
# address that this takes, the library takes unchanged (a test generates them).
_WORD = r"[a-z0-9_+]+(?:-[a-z0-9_+]+)*"
_LABEL = r"(?=[^.]{1,63}(?:\.|\Z))[a-z0-9]+(?:-[a-z0-9]+)*"
_PLAIN = re.compile(rf"(?=.{{6,254}}\Z){_WORD}(?:\.{_WORD})*@(?:{_LABEL}\.)+(?=.{{2,63}}\Z)[a-z]+\Z")
_MAILBOX = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^"<>@,;:\\()\[\]]*))\s*<(?P<address>[^<>]*)>\s*')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A sender or where answers go: an address and perhaps a name for people."""

    name: str
    address: str


def check_email(address: str) -> str:
    """The address in the form to use, or `ValueError` with what is wrong with it, never repeating any of it.

    Syntax alone is checked (RFC 5321, RFC 6531), nothing is looked up, and domains reserved for tests and examples are
    addresses too. Domains become lower case; internationalised ones are written in ASCII, unless the part before the
    @-sign is internationalised as well.
    """
    if _PLAIN.match(address):
        return address
    _prepare_library()
    # A domain without a dot is a typo, but for this host.
    public = not address.lower().endswith("@localhost")
    try:
        found = email_validator.validate_email(
            address, check_deliverability=False, test_environment=True, globally_deliverable=public
        )
    except email_validator.EmailNotValidError as error:
        raise ValueError(f"is not an e-mail address: {_without_data(str(error))}") from None
    return found.ascii_email or found.normalized


def parse_mailbox(text: str) -> Mailbox:
    """`Shop <orders@example.com>`, `"Shop, Inc." <orders@example.com>` or an address alone (RFC 5322, RFC 6532).

    `ValueError` says what is wrong. Controls and encoded words (`=?`) are refused: no name can become another header.
    """
    if _CONTROL.search(text) or "=?" in text:
        raise ValueError("can't hold control characters or encoded words; write names in plain Unicode")
    match = _MAILBOX.fullmatch(text)
    if match is None:
        if "<" in text or ">" in text:
            raise ValueError('is not a mailbox; write it like Shop <orders@example.com> or "Shop, Inc." <…>')
        return Mailbox("", check_email(text.strip()))
    quoted = match["quoted"]
    name = match["bare"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    return Mailbox(name.strip(), check_email(match["address"].strip()))


@cache
def _prepare_library() -> None:
    # The library's documented switch for the reserved domains is this list, for the whole process.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()


def _without_data(message: str) -> str:
    """The library's sentence without what it repeats of the address, which follows a colon or stands in brackets."""
    text = message.removeprefix("After Unicode normalization: ")
    text = re.split(r":| \(", text, maxsplit=1)[0].strip().rstrip(".")
    return text[:1].lower() + text[1:]
