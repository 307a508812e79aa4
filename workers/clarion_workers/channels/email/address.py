"""Addresses the way envelopes and headers can carry them.

Syntax: RFC 5321 §4.1.2 and RFC 5322 §3.4.1 without quoted local parts, comments and address literals; RFC 6531 for
what is not ASCII. A domain is always written in ASCII (RFC 5891), so that only a local part can need SMTPUTF8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import idna

MAX_BYTES = 254  # RFC 5321 §4.5.3.1.3: a path of 256 octets, less its angle brackets

_ATOM = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PLAIN = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_WIDE_ATOM = _ATOM.replace("A-Z", "\u0080-\U0010ffffA-Z")
_WIDE_LOCAL_PART = re.compile(rf"{_WIDE_ATOM}(?:\.{_WIDE_ATOM})*")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


class AddressRefused(ValueError):
    """The text is no address that could be carried safely. The message says why and does not repeat the address."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name, as people read it, or none; and an address with its domain in ASCII."""

    name: str
    address: str


def carried(address: str) -> str:
    """The address with its domain in ASCII; not ASCII itself only where its local part is not.

    `AddressRefused` for whatever is not a dot-atom and a domain, or is longer than 254 bytes.
    """
    # A local part that reads as an encoded word would be decoded by receivers that look for them everywhere.
    if "=?" in address:
        raise AddressRefused("the address looks like an encoded word")
    if len(address) <= MAX_BYTES and _PLAIN.fullmatch(address):
        return address
    return _carried_wide(address)


def parse_mailbox(text: str) -> Mailbox:
    """A mailbox from `address`, `<address>`, `Name <address>` or `"Name" <address>`. A name is taken literally."""
    text = text.strip(" ")
    if not text.endswith(">"):
        return Mailbox("", carried(text))
    name, _, address = text[:-1].rpartition("<")
    name = name.strip(" ")
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = _QUOTED_PAIR.sub(r"\1", name[1:-1])
    return Mailbox(name, carried(address))


def _carried_wide(address: str) -> str:
    local_part, at, domain = address.rpartition("@")
    if not at:
        raise AddressRefused("the address has no @")
    if len(address) > MAX_BYTES:
        raise AddressRefused(f"the address is longer than {MAX_BYTES} bytes")
    if not address.isprintable():
        raise AddressRefused("the address holds control characters or spaces")
    if not _WIDE_LOCAL_PART.fullmatch(local_part):
        raise AddressRefused("the part before the @ is malformed")
    whole = f"{local_part}@{_ascii_domain(domain)}"
    if len(whole.encode("utf-8", "replace")) > MAX_BYTES:
        raise AddressRefused(f"the address is longer than {MAX_BYTES} bytes")
    return whole


@lru_cache(maxsize=4096)
def _ascii_domain(domain: str) -> str:
    try:
        encoded = domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:
        raise AddressRefused("the domain has no ASCII form") from None
    if not _DOMAIN.fullmatch(encoded):
        raise AddressRefused("the domain is malformed")
    return encoded
