"""What the e-mail channel takes, and what its builder makes of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailMessage:
    """One rendered e-mail. `sender` and `reply_to` are RFC 5322 mailboxes, `to_address` is a bare address.

    `reply_to`, `html` and `text` may be empty: there is none. `date_s` is seconds since 1970.
    """

    delivery_id: str
    sender: str
    to_address: str
    subject: str
    date_s: float
    reply_to: str = ""
    html: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class BuiltEmail:
    """A message as bytes with CRLF line ends, not dot-stuffed, and its envelope.

    The content is 7bit clean but for addresses in its headers, and only where `needs_smtputf8`. `wire_ready`: it is
    known that all its line ends are CRLF and that no line begins with a dot, so that it can be sent as it is.
    """

    mail_from: str
    rcpt_to: str
    needs_smtputf8: bool
    content: bytes
    wire_ready: bool = False
