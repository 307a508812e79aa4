"""What suppression and allow lists name, in the form in which it is compared.

Two spellings that reach the same person are one entry: an e-mail address is compared without regard to case, a phone
number as E.164, a URL with its host in lower case. What is sent to keeps its own spelling.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec
import phonenumbers

from clarion_core.addresses import check_email
from clarion_core.domain.medium import Channel
from clarion_core.domain.suppression import Target, TargetKind

ADDRESS_MAX = 2048
"""Characters an address may have: a webhook's URL, or a Web Push subscription's endpoint."""
WITH_DOMAINS = (Channel.EMAIL, Channel.WEBHOOK)
"""Channels whose addresses are in domains."""

_E164 = re.compile(r"\+[1-9][0-9]{6,14}\Z")  # ITU-T E.164: up to 15 digits
_APNS_TOKEN = re.compile(r"[0-9A-Fa-f]{64,200}\Z")  # hexadecimal, written in either case
_PRINTABLE = re.compile(r"[\x21-\x7e]+\Z")
_PORTS = {"http": 80, "https": 443}
_LABELS = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"
)


def address_form(channel: Channel, address: str) -> str:
    """The form in which a recipient's address is compared. Never raises: what is no address is on no list."""
    if channel is Channel.EMAIL:
        return _email_form(address)
    try:
        return check_address(channel, address)
    except ValueError:
        return address


def check_address(channel: Channel, text: str) -> str:
    """An address as lists hold it, or `ValueError` with what is wrong with it, never repeating any of it."""
    text = text.strip()
    if not text or len(text) > ADDRESS_MAX:
        raise ValueError(f"must have 1 to {ADDRESS_MAX} characters")
    match channel:
        case Channel.EMAIL:
            return _email_form(check_email(text))
        case Channel.SMS:
            return _phone_form(text)
        case Channel.PUSH:
            return _token_form(text)
        case Channel.WEBHOOK:
            return _url_form(text)


def check_domain(channel: Channel, text: str) -> str:
    """A domain as lists hold it, or `ValueError`. `*.example.com` is all domains below example.com, and not itself."""
    if channel not in WITH_DOMAINS:
        raise ValueError(f"addresses of {channel.value} are in no domain")
    text = text.strip()
    below = "*." if text.startswith("*.") else ""
    domain = _ascii_domain(text.removeprefix(below).removesuffix("."))
    if not _LABELS.match(domain):
        raise ValueError("is not a domain; write it like example.com, or *.example.com for all below it")
    return below + domain


def check_target(channel: Channel, kind: TargetKind, text: str) -> Target:
    """What an entry names, in its normal form, or `ValueError` with what is wrong."""
    check = check_address if kind is TargetKind.ADDRESS else check_domain
    return Target(kind, check(channel, text))


def _email_form(address: str) -> str:
    """Mailboxes that differ in case alone exist nowhere, although RFC 5321 §2.4 would let them."""
    if address.isascii():
        return address.lower()
    local, _, domain = address.rpartition("@")
    return f"{local.casefold()}@{_ascii_domain(domain)}"


def _ascii_domain(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    try:
        return check_email(f"x@{domain}").partition("@")[2]
    except ValueError:
        return domain.casefold()


def _phone_form(text: str) -> str:
    if _E164.match(text):
        return text
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        raise ValueError("is not a phone number; write it with + and the country, like +4915112345678") from None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


class _Subscription(msgspec.Struct):
    endpoint: str


_read_subscription = msgspec.json.Decoder(_Subscription).decode


def _token_form(text: str) -> str:
    """A device's token. Of a Web Push subscription it is the endpoint; the keys beside it may change."""
    if text.startswith("{"):
        try:
            text = _read_subscription(text).endpoint
        except msgspec.MsgspecError:
            raise ValueError("is not a Web Push subscription: JSON with an endpoint") from None
    if not _PRINTABLE.match(text):
        raise ValueError("is not a token: it has blanks, or characters that are not ASCII")
    return text.lower() if _APNS_TOKEN.match(text) else text


def _url_form(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL; write it like https://example.com/hook") from None
    host = parts.hostname or ""
    if parts.scheme not in _PORTS or not host:
        raise ValueError("is not a URL; write it like https://example.com/hook")
    host = f"[{host}]" if ":" in host else _ascii_domain(host.removesuffix("."))
    place = host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{place}{parts.path or '/'}{query}"
