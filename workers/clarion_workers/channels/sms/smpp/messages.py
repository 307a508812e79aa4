"""From a message to its segments: addresses, octets, and what is asked of the SMSC."""

from __future__ import annotations

import math
import re
import time
from functools import lru_cache
from zlib import crc32

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import PermanentFailure
from clarion_core.domain.sender import SenderKind, sender_kind
from clarion_core.domain.sms_text import SEGMENTS_MAX
from clarion_workers.channels.sms.message import SmsMessage
from clarion_workers.channels.sms.smpp.config import SmppConfig
from clarion_workers.channels.sms.smpp.pdu import ANY_OUTCOME, FAILURE, UDH_INDICATOR, Address, Npi, Submit, Ton
from clarion_workers.channels.sms.text import coded

_NUMBER = re.compile(r"\+[1-9][0-9]{1,14}", re.ASCII)  # ITU-T E.164
_KINDS = {
    SenderKind.NUMBER: (Ton.INTERNATIONAL, Npi.ISDN),
    SenderKind.SHORT_CODE: (Ton.NETWORK_SPECIFIC, Npi.UNKNOWN),
    SenderKind.NAME: (Ton.ALPHANUMERIC, Npi.UNKNOWN),
}


def bodies(message: SmsMessage, config: SmppConfig) -> list[bytes] | PermanentFailure:
    """The bodies of the message's submit_sm, one a segment; or why it can't be submitted.

    Receipts are asked for whatever becomes of the last segment, and of a failure of those before it: so one says that
    all was delivered, and each may say that something was not.
    """
    if not _NUMBER.fullmatch(message.to_number):
        return PermanentFailure(reason=Reason.RECIPIENT_REFUSED, detail="the number is not in E.164")
    source = source_address(message.sender)
    if source is None:
        return PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail="the sender is none that networks carry")
    reference = reference_of(message.delivery_id)
    try:
        text = coded(message.text, reference, config.default_alphabet)
    except ValueError:
        detail = f"the text has more than {SEGMENTS_MAX} segments"
        return PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail=detail)
    left_s = None if message.deadline_s == math.inf else message.deadline_s - time.monotonic()
    destination = Address(ton=Ton.INTERNATIONAL, npi=Npi.ISDN, digits=message.to_number[1:])
    last = len(text.segments) - 1
    return [
        Submit(
            source=source,
            destination=destination,
            short_message=octets,
            data_coding=text.coding,
            esm_class=UDH_INDICATOR if text.concatenated else 0,
            registered_delivery=(ANY_OUTCOME if number == last else FAILURE) if config.receipts else 0,
            validity_s=left_s,
            service_type=config.service_type,
            reference=reference,
        ).body()
        for number, octets in enumerate(text.segments)
    ]


@lru_cache(maxsize=1024)
def source_address(sender: str) -> Address | None:
    """The sender with what it is; nothing in it where there is none (the SMSC has one); None where it can't be one."""
    if not sender:
        return Address()
    try:
        ton, npi = _KINDS[sender_kind(sender)]
    except ValueError:
        return None
    return Address(ton=ton, npi=npi, digits=sender.removeprefix("+"))


def reference_of(delivery_id: str) -> int:
    """16 bits that are the same in every attempt: an SMSC may show them, and handsets put segments together by 8 of
    them, so that a message handed over twice is at worst read twice, and never mixed.
    """
    return crc32(delivery_id.encode()) & 0xFFFF
