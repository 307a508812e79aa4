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
from clarion_core.verp import VerpRefused
from clarion_workers.channels.email import fields
from clarion_workers.channels.email.address import AddressRefused, carried, parse_mailbox
from clarion_workers.channels.email.attachments import AttachmentRefused, with_files
from clarion_workers.channels.email.body import Body, body
from clarion_workers.channels.email.dkim import Signer
from clarion_workers.channels.email.headers import mailbox, unstructured
from clarion_workers.channels.email.letterhead import NOTHING_SHARED, Letterhead
from clarion_workers.channels.email.message import BuiltEmail, EmailMessage

_SENDERS_KEPT = 1024
_DELIVERY_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class _Sender:
    """What all messages of one sender share."""

    mail_from: str
    head: str
    signer: Signer | None


class MimeBuilder:
    """Builds messages whose Message-ID is `<delivery id@message_id_domain>`, the same for every attempt."""

    def __init__(self, message_id_domain: str, letterhead: Letterhead = NOTHING_SHARED) -> None:
        if not _DOMAIN.fullmatch(message_id_domain):
            raise ValueError("message_id_domain is not a domain")
        self._domain, self._letterhead = message_id_domain, letterhead
        self._senders: dict[tuple[str, str], _Sender | PermanentFailure] = {}

    def build(self, message: EmailMessage, *, eight_bit: bool = False) -> BuiltEmail | PermanentFailure:
        """The message as bytes, or why there can be none: an address that can't be carried, a file that can't be sent.

        `eight_bit`: the server takes octets beyond ASCII in a body (RFC 6152), which then need no encoding. What is
        signed is 7 bit all the same.
        """
        sender = self._senders.get((message.sender, message.reply_to)) or self._prepare(message)
        if isinstance(sender, PermanentFailure):
            return sender
        if not _DELIVERY_ID.fullmatch(message.delivery_id):
            return PermanentFailure(reason=Reason.INTERNAL, detail="the delivery id can't be part of a Message-ID")
        try:
            to = carried(message.to_address)
            rcpt_to = parse_mailbox(message.copy.address).address if message.copy else to
        except AddressRefused as refused:
            return PermanentFailure(reason=Reason.RECIPIENT_REFUSED, detail=str(refused))
        try:
            head = self._head(message, sender, to)
            texts = _content(message, eight_bit=eight_bit and sender.signer is None)
            mail_from = self._mail_from(message, sender)
        except (fields.FieldRefused, AttachmentRefused) as refused:
            return PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail=str(refused))
        except VerpRefused as refused:
            return PermanentFailure(reason=Reason.INTERNAL, detail=str(refused))
        whole = b"".join((head.encode(), *texts.pieces))
        return BuiltEmail(
            mail_from=mail_from,
            rcpt_to=rcpt_to,
            needs_smtputf8=not (head.isascii() and rcpt_to.isascii()),
            eight_bit=texts.eight_bit,
            content=sender.signer.fields(whole, int(message.date_s)) + whole if sender.signer else whole,
            crlf_only=_is_crlf_only(head),
            dotless=texts.dotless,
        )

    def _head(self, message: EmailMessage, sender: _Sender, to: str) -> str:
        copy = message.copy
        ids = f"Message-ID: <{message.delivery_id}{f'.{copy.kind}{copy.number}' if copy else ''}@{self._domain}>\r\n"
        if copy:  # so that mail programs show the original and what is said to it together
            ids += f"References: <{message.delivery_id}@{self._domain}>\r\n"
        return (
            f"{sender.head}To: {to}\r\n{fields.visible_copies(message) if message.cc else ''}"
            f"{unstructured('Subject', message.subject)}{_date(int(message.date_s))}{ids}"
            f"{fields.of_message(message, self._letterhead)}MIME-Version: 1.0\r\n"
        )

    def _mail_from(self, message: EmailMessage, sender: _Sender) -> str:
        bounces = self._letterhead.bounces
        if bounces is None:
            return sender.mail_from
        return bounces.copies if message.copy else bounces.address(message.delivery_id)

    def _prepare(self, message: EmailMessage) -> _Sender | PermanentFailure:
        if len(self._senders) >= _SENDERS_KEPT:
            self._senders.clear()
        prepared = self._sender(
            message.sender or self._letterhead.sender, message.reply_to or self._letterhead.reply_to
        )
        self._senders[message.sender, message.reply_to] = prepared
        return prepared

    def _sender(self, sender: str, reply_to: str) -> _Sender | PermanentFailure:
        field, signers = "sender", self._letterhead.signers
        try:
            box = parse_mailbox(sender)
            head = mailbox("From", box)
            if reply_to:
                field = "reply_to"
                head += mailbox("Reply-To", parse_mailbox(reply_to))
        except AddressRefused as refused:
            return PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail=f"{field}: {refused}")
        signer = signers.of(box.address.rpartition("@")[2]) if signers else None
        return _Sender(box.address, head, signer)


def _content(message: EmailMessage, *, eight_bit: bool) -> Body:
    """The texts and the files."""
    texts = body(message.text, message.html, message.amp, eight_bit=eight_bit)
    if not message.attachments:
        return texts
    several = sum(map(bool, (message.text, message.html, message.amp))) > 1
    return with_files(texts, message.attachments, has_alternatives=several)


@lru_cache(maxsize=64)
def _date(second: int) -> str:
    return f"Date: {formatdate(second)[:-5]}+0000\r\n"  # RFC 5322 §3.3: -0000 would mean that the zone is unknown


def _is_crlf_only(head: str) -> bool:
    """What `BuiltEmail.crlf_only` says, of the header fields. They are made so; this looks, since all rests on it."""
    return head.count("\n") == head.count("\r") == head.count("\r\n")
