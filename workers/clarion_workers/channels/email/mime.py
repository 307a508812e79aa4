"""Messages as bytes: what stays the same is prepared, what changes is encoded once, by C functions.

The standard library's `EmailMessage` makes some hundred messages a second; it is the oracle of this module's tests.
"""

from __future__ import annotations

import re
from binascii import b2a_base64, b2a_qp
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import PermanentFailure
from clarion_workers.channels.email.address import AddressRefused, carried, parse_mailbox
from clarion_workers.channels.email.headers import mailbox, unstructured
from clarion_workers.channels.email.message import BuiltEmail, EmailMessage

# `=_` is never in quoted-printable or base64 (RFC 2045 §6.7), and a body that holds it is not left as it is: so the
# boundary can't be met in a part, and needs no random part.
BOUNDARY = "=_clarion"
_MARK = b"--=_"
_DELIMITER = f"\r\n--{BOUNDARY}".encode()

_LINE_MAX = 900  # octets that a line may have and stay as it is; RFC 5322 §2.1.1 forbids more than 998
_ENCODED_LINE = 57  # octets that make a line of 76 characters of base64 (RFC 2045 §6.8)
_SHOWN = bytes(range(0x20, 0x7F)) + b"\t\n"
_SENDERS_KEPT = 1024
_DELIVERY_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def _part_head(subtype: str, encoding: str) -> bytes:
    return (f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n").encode()


_HEADS = {(s, e): _part_head(s, e) for s in ("plain", "html") for e in ("7bit", "quoted-printable", "base64")}
_ALTERNATIVE = (
    f'Content-Type: multipart/alternative; boundary="{BOUNDARY}"\r\n\r\n--{BOUNDARY}\r\n'  # text first: RFC 2046 §5.1.4
).encode()


@dataclass(frozen=True, slots=True)
class _Sender:
    """What all messages of one sender share."""

    mail_from: str
    head: str


class MimeBuilder:
    """Builds messages whose Message-ID is `<delivery id@message_id_domain>`, the same for every attempt."""

    def __init__(self, message_id_domain: str) -> None:
        if not _DOMAIN.fullmatch(message_id_domain):
            raise ValueError("message_id_domain is not a domain")
        self._domain = message_id_domain
        self._senders: dict[tuple[str, str], _Sender | PermanentFailure] = {}

    def build(self, message: EmailMessage) -> BuiltEmail | PermanentFailure:
        """The message as bytes, or why there can be none: an address that can't be carried."""
        sender = self._senders.get((message.sender, message.reply_to)) or self._prepare(message)
        if isinstance(sender, PermanentFailure):
            return sender
        try:
            to = carried(message.to_address)
        except AddressRefused as refused:
            return PermanentFailure(reason=Reason.RECIPIENT_REFUSED, detail=str(refused))
        if not _DELIVERY_ID.fullmatch(message.delivery_id):
            return PermanentFailure(reason=Reason.INTERNAL, detail="the delivery id can't be part of a Message-ID")
        head = (
            f"{sender.head}To: {to}\r\n{unstructured('Subject', message.subject)}{_date(int(message.date_s))}"
            f"Message-ID: <{message.delivery_id}@{self._domain}>\r\nMIME-Version: 1.0\r\n"
        )
        content = head.encode() + _body(message.text, message.html)
        return BuiltEmail(sender.mail_from, to, not head.isascii(), content)

    def _prepare(self, message: EmailMessage) -> _Sender | PermanentFailure:
        if len(self._senders) >= _SENDERS_KEPT:
            self._senders.clear()
        prepared = _sender(message.sender, message.reply_to)
        self._senders[message.sender, message.reply_to] = prepared
        return prepared


def _sender(sender: str, reply_to: str) -> _Sender | PermanentFailure:
    field = "sender"
    try:
        box = parse_mailbox(sender)
        head = mailbox("From", box)
        if reply_to:
            field = "reply_to"
            head += mailbox("Reply-To", parse_mailbox(reply_to))
    except AddressRefused as refused:
        return PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail=f"{field}: {refused}")
    return _Sender(box.address, head)


@lru_cache(maxsize=64)
def _date(second: int) -> str:
    return f"Date: {formatdate(second)[:-5]}+0000\r\n"  # RFC 5322 §3.3: -0000 would mean that the zone is unknown


def _body(text: str, html: str) -> bytes:
    """The content fields, the empty line and the part or parts, ended by CRLF."""
    if text and html:
        parts = (_ALTERNATIVE, _part("plain", text), _DELIMITER, b"\r\n", _part("html", html), _DELIMITER, b"--\r\n")
        return b"".join(parts)
    part = _part("html", html) if html else _part("plain", text)
    return part if part.endswith(b"\r\n") else part + b"\r\n"


def _part(subtype: str, text: str) -> bytes:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    encoding = _encoding(text)
    data = text.encode("utf-8", "replace")
    if encoding == "quoted-printable":
        data = b2a_qp(data)
    elif encoding == "base64":
        return _HEADS[subtype, encoding] + _base64(data.replace(b"\n", b"\r\n"))
    return _HEADS[subtype, encoding] + data.replace(b"\n", b"\r\n")


def _encoding(text: str) -> str:
    if not text.isascii():
        # A character beyond ASCII costs quoted-printable 6 octets or more, base64 a third of everything.
        beyond = len(text.encode("utf-8", "replace")) - len(text)
        return "base64" if beyond * 12 > len(text) else "quoted-printable"
    data = text.encode("ascii")
    if data.translate(None, _SHOWN) or _MARK in data or max(map(len, data.split(b"\n"))) > _LINE_MAX:
        return "quoted-printable"
    return "7bit"


def _base64(data: bytes) -> bytes:
    lines = [b2a_base64(data[at : at + _ENCODED_LINE], newline=False) for at in range(0, len(data), _ENCODED_LINE)]
    return b"\r\n".join(lines)
