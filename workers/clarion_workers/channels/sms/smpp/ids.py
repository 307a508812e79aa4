"""Ids of messages, where an SMSC writes one number in two ways: in its responses and in the text of its receipts.

SMPP 3.4 has ids as opaque text, and receipts name those of the responses (§5.3.2.12). Some SMSCs respond in hexadecimal
and tell of the same number in decimal, or the other way round. Both are made decimal then, without zeros in front. That
can't lead to another message: what is no number in its form stays as it is, with something in it that is no digit.
"""

from __future__ import annotations

import re
from typing import Literal

ReceiptIds = Literal["as_sent", "hex", "decimal"]
"""How receipts write the number: as responses do, or in one of the two forms while responses have the other."""

# An id has 64 characters at most (§4.4.2); text of a receipt may have any number of digits.
_DIGITS = {10: re.compile(r"[0-9]{1,64}"), 16: re.compile(r"[0-9A-Fa-f]{1,64}")}


def of_response(message_id: str, receipts: ReceiptIds) -> str:
    """What a message is known by, of the id that a response (or a receipt's own parameter) gives."""
    match receipts:
        case "as_sent":
            return message_id
        case "hex":
            return _decimal(message_id, 10)
        case "decimal":
            return _decimal(message_id, 16)


def of_receipt(message_id: str, receipts: ReceiptIds) -> str:
    """What a message is known by, of the id in the text of a receipt."""
    match receipts:
        case "as_sent":
            return message_id
        case "hex":
            return _decimal(message_id, 16)
        case "decimal":
            return _decimal(message_id, 10)


def _decimal(message_id: str, base: int) -> str:
    return str(int(message_id, base)) if _DIGITS[base].fullmatch(message_id) else message_id
