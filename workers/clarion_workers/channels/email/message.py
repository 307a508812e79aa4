"""What the e-mail channel takes, and what its builder makes of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from clarion_workers.channels import Message
from clarion_workers.channels.email.attachments import Attachment


class Copy(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """To whom a message is a copy; `number` tells the copies of a message apart."""

    kind: Literal["cc", "bcc", "seed"]
    number: int
    address: str


class EmailMessage(Message, frozen=True, kw_only=True, gc=False):
    """One rendered e-mail. `sender`, `reply_to` and `cc` are RFC 5322 mailboxes, `to_address` and `bcc` bare addresses.

    `html`, `text` and `amp` are UTF-8; they and whatever else has a default may be empty: there is none. `date_s` is
    seconds since 1970. `workspace`, `campaign` and `category` are ids. `headers` are names that begin with X-, and
    values. `list_unsubscribe` are URIs, used instead of the channel's. With a `copy`, it goes to that address alone.
    """

    sender: str
    to_address: str
    subject: str
    date_s: float
    reply_to: str = ""
    html: bytes = b""
    text: bytes = b""
    amp: bytes = b""
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    list_unsubscribe: tuple[str, ...] = ()
    workspace: str = ""
    campaign: str = ""
    category: str = ""
    copy: Copy | None = None

    @property
    def weight(self) -> int:
        """One permit, and one for each copy."""
        return 1 + len(self.cc) + len(self.bcc)


class BuiltEmail(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message as bytes with CRLF line ends, not dot-stuffed, and its envelope.

    Only `eight_bit` content holds octets beyond ASCII, but for addresses in its headers, and those only where
    `needs_smtputf8`. `crlf_only` and `dotless`: it is known to hold no other line ends, and no line that begins with a
    dot. Who sends it looks else.
    """

    mail_from: str
    rcpt_to: str
    needs_smtputf8: bool
    eight_bit: bool
    content: bytes
    crlf_only: bool = False
    dotless: bool = False
