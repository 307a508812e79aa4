"""What a deliver_sm says: a receipt (SMPP 3.4 §5.2.28, Appendix B) or somebody's text."""

from __future__ import annotations

import re

from clarion_workers.channels.sms.inbound import Fate, Inbound, Receipt
from clarion_workers.channels.sms.smpp import ids
from clarion_workers.channels.sms.smpp.ids import ReceiptIds
from clarion_workers.channels.sms.smpp.pdu import UDH_INDICATOR, Address, Deliver, Tag, Ton
from clarion_workers.channels.sms.text import DataCoding, DefaultAlphabet, gsm_text

# Appendix B: words of a receipt's text, which SMSCs write in any case.
_FATES = {
    "ENROUTE": Fate.ENROUTE,
    "DELIVRD": Fate.DELIVERED,
    "EXPIRED": Fate.EXPIRED,
    "DELETED": Fate.DELETED,
    "UNDELIV": Fate.UNDELIVERABLE,
    "ACCEPTD": Fate.ACCEPTED,
    "UNKNOWN": Fate.UNKNOWN,
    "REJECTD": Fate.REJECTED,
}
_FIELD = re.compile(r"\b(id|stat|err): ?([^\s:]+)(?!\S*:)", re.IGNORECASE)
_SHORT_MAX = 8
_ASCII, _ISO_8859_5, _ISO_8859_8 = 1, 6, 7
_CHARSETS = {
    _ASCII: "ascii",
    DataCoding.LATIN1: "latin-1",
    _ISO_8859_5: "iso8859-5",
    _ISO_8859_8: "iso8859-8",
    DataCoding.UCS2: "utf-16-be",
}


def receipt_of(delivery: Deliver, written: ReceiptIds = "as_sent") -> Receipt | None:
    """What a receipt says. Its parameters go before its text; None where neither says of which message it is.

    `written` is of ids in the text. A parameter's is that of the response (SMPP 3.4 §5.3.2.12); but where the two forms
    differ, the text goes first: that is where the SMSC is known to differ.
    """
    text = delivery.octets.decode("latin-1").partition(" text:")[0].partition(" Text:")[0]
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(text):
        fields.setdefault(name.lower(), value)
    told = delivery.options.get(Tag.RECEIPTED_MESSAGE_ID, b"").partition(b"\0")[0].decode("latin-1")
    message_id = ids.of_response(told, written)
    if "id" in fields and not (told and written == "as_sent"):
        message_id = ids.of_receipt(fields["id"], written)
    if not message_id:
        return None
    error = fields.get("err", "") or _network_error(delivery.options.get(Tag.NETWORK_ERROR_CODE, b""))
    return Receipt(message_id=message_id, fate=_fate(delivery, fields.get("stat", "")), error=error)


def inbound_of(delivery: Deliver, default_alphabet: DefaultAlphabet) -> Inbound:
    """What somebody wrote. What can't be read as text is shown as replacement characters."""
    octets = delivery.octets
    if delivery.esm_class & UDH_INDICATOR and octets:
        octets = octets[1 + octets[0] :]
    return Inbound(
        from_number=_shown(delivery.source),
        to_number=_shown(delivery.destination),
        text=_text(octets, delivery.data_coding, default_alphabet),
    )


def _fate(delivery: Deliver, word: str) -> Fate:
    state = delivery.options.get(Tag.MESSAGE_STATE, b"")
    if len(state) == 1 and 1 <= state[0] <= len(Fate):
        return Fate(state[0])
    return _FATES.get(word.upper(), Fate.UNKNOWN)


def _network_error(octets: bytes) -> str:
    """§5.3.2.31: which kind of network, and its code."""
    return str(int.from_bytes(octets[1:])) if len(octets) == 3 else ""


def _shown(address: Address) -> str:
    """With a plus, where it is said or seen to be in E.164: it is no short code, and not of one country."""
    digits = address.digits.removeprefix("+")
    seen = address.ton == Ton.UNKNOWN and digits.isdecimal() and len(digits) > _SHORT_MAX and digits[0] != "0"
    return f"+{digits}" if address.ton == Ton.INTERNATIONAL or seen else address.digits


def _text(octets: bytes, coding: int, default_alphabet: DefaultAlphabet) -> str:
    if coding == DataCoding.DEFAULT and default_alphabet == "gsm":
        return gsm_text(octets)
    return octets.decode(_CHARSETS.get(coding, "latin-1"), "replace")
