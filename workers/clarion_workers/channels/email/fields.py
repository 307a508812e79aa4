"""The header fields that tell mail programs and postmasters what a message is: whose, from what, and how to end it."""

from __future__ import annotations

import re

from clarion_workers.channels.email.address import AddressRefused, Mailbox, parse_mailbox
from clarion_workers.channels.email.headers import mailboxes, unstructured
from clarion_workers.channels.email.letterhead import Letterhead
from clarion_workers.channels.email.message import EmailMessage

_MARKETING = "marketing"
_EXTRA_NAME = re.compile(r"X-(?!Clarion-)[A-Za-z0-9-]{1,60}", re.IGNORECASE)
_URI = re.compile(r"(?:https://|mailto:)[!-;=?-~]{1,900}")


class FieldRefused(ValueError):
    """A header field that a message may not have; the message says why."""


def of_message(message: EmailMessage, letterhead: Letterhead) -> str:
    """The fields beyond those that every message has. `FieldRefused` where one may not be."""
    # Nothing in a copy may act for the recipient: it can't unsubscribe anybody.
    fields = f"X-Clarion-Copy: {message.copy.kind}\r\n" if message.copy else unsubscribing(message, letterhead)
    if message.campaign and letterhead.feedback_sender:
        fields += _feedback_id(message, letterhead.feedback_sender)
    # RFC 3834 §5: sent by a program because of what somebody did; nobody's absence is to be answered to it. Responders
    # know marketing by its List-Unsubscribe (§2).
    if message.category and message.category != _MARKETING:
        fields += "Auto-Submitted: auto-generated\r\n"
    for name, value in message.headers:
        if not _EXTRA_NAME.fullmatch(name):
            raise FieldRefused("a header field's name must begin with X-, and not with X-Clarion-")
        fields += unstructured(name, value)
    return fields


def unsubscribing(message: EmailMessage, letterhead: Letterhead) -> str:
    """List-Unsubscribe (RFC 2369), and List-Unsubscribe-Post where there is an https URL (RFC 8058 §3.1)."""
    ways = message.list_unsubscribe or letterhead.unsubscribing.ways(message.delivery_id)
    if not ways:
        return ""
    if not all(map(_URI.fullmatch, ways)):
        raise FieldRefused("list_unsubscribe: must be https or mailto URIs in ASCII")
    listed = ",\r\n ".join(f"<{way}>" for way in ways)
    post = any(way.startswith("https:") for way in ways)
    return f"List-Unsubscribe: {listed}\r\n" + ("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" if post else "")


def visible_copies(message: EmailMessage) -> str:
    """Cc; an address that can't be carried is left out of it, as it gets no copy."""
    boxes: list[Mailbox] = []
    for text in message.cc:
        try:
            boxes.append(parse_mailbox(text))
        except AddressRefused:
            continue  # counted where the copy is not sent
    return mailboxes("Cc", boxes) if boxes else ""


def _feedback_id(message: EmailMessage, sender: str) -> str:
    """As Gmail reads it: three names of ours and the sender's, the most telling first, 998 characters in all."""
    return f"Feedback-ID: {message.campaign}:{message.category}:{message.workspace}:{sender}\r\n"
