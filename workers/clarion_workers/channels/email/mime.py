"""Messages as bytes: what stays the same is prepared, what changes is encoded once, by C functions.

The standard library's `EmailMessage` makes some hundred messages a second; it is the oracle of this module's tests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import PermanentFailure
from clarion_workers.channels.email.address import AddressRefused, carried, parse_mailbox
from clarion_workers.channels.email.body import body
from clarion_workers.channels.email.headers import mailbox, unstructured
from clarion_workers.channels.email.message import BuiltEmail, EmailMessage

_SENDERS_KEPT = 1024
_DELIVERY_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


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

    def build(self, message: EmailMessage, *, eight_bit: bool = False) -> BuiltEmail | PermanentFailure:
        """The message as bytes, or why there can be none: an address that can't be carried.

        `eight_bit`: the server takes octets beyond ASCII in a body (RFC 6152), which then need no encoding.
        """
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
        content = body(message.text, message.html, eight_bit=eight_bit)
        return BuiltEmail(
            mail_from=sender.mail_from,
            rcpt_to=to,
            needs_smtputf8=not head.isascii(),
            eight_bit=content.eight_bit,
            content=b"".join((head.encode(), *content.pieces)),
            crlf_only=_is_crlf_only(head),
            dotless=content.dotless,
        )

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


def _is_crlf_only(head: str) -> bool:
    """What `BuiltEmail.crlf_only` says, of the header fields. They are made so; this looks, since all rests on it."""
    return head.count("\n") == head.count("\r") == head.count("\r\n")
