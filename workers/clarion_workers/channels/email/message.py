"""What the e-mail channel takes, and what its builder makes of it."""

from __future__ import annotations

import msgspec

from clarion_workers.channels import Message


class EmailMessage(Message, frozen=True, kw_only=True, gc=False):
    """One rendered e-mail. `sender` and `reply_to` are RFC 5322 mailboxes, `to_address` is a bare address.

    `html` and `text` are UTF-8; they and `reply_to` may be empty: there is none. `date_s` is seconds since 1970.
    """

    sender: str
    to_address: str
    subject: str
    date_s: float
    reply_to: str = ""
    html: bytes = b""
    text: bytes = b""


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
