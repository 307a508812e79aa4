"""The protocol data units of SMPP 3.4 that a transceiver needs: octets out, octets in.

Sections are those of the "Short Message Peer to Peer Protocol Specification v3.4, Issue 1.2".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum
from functools import lru_cache

import msgspec

HEADER = struct.Struct(">IIII")  # length, command, status, sequence: §3.2
PDU_MAX = 65_536 + 1_024
"""Octets of a unit that is read: a payload of 64 KiB, the longest field there is, and the rest."""
SEQUENCE_MAX = 0x7FFFFFFF  # §3.2
VERSION = 0x34

_RESPONSE = 0x80000000
_TLV = struct.Struct(">HH")  # §3.2.4.1
_OPTION = struct.Struct(">HHH")
_HOUR_S, _DAY_S = 3_600, 86_400
_VALIDITY_MAX_S = 28 * _DAY_S  # a relative time of days alone, which no calendar month is shorter than


class Command(IntEnum):
    """§5.1.2.1."""

    GENERIC_NACK = 0x80000000
    SUBMIT_SM = 0x00000004
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM = 0x00000005
    DELIVER_SM_RESP = 0x80000005
    UNBIND = 0x00000006
    UNBIND_RESP = 0x80000006
    BIND_TRANSCEIVER = 0x00000009
    BIND_TRANSCEIVER_RESP = 0x80000009
    ENQUIRE_LINK = 0x00000015
    ENQUIRE_LINK_RESP = 0x80000015
    ALERT_NOTIFICATION = 0x00000102


class Tag(IntEnum):
    """§5.3.2."""

    RECEIPTED_MESSAGE_ID = 0x001E
    USER_MESSAGE_REFERENCE = 0x0204
    MESSAGE_PAYLOAD = 0x0424
    MESSAGE_STATE = 0x0427
    NETWORK_ERROR_CODE = 0x0423


class Ton(IntEnum):
    """Type of number, §5.2.5."""

    UNKNOWN = 0
    INTERNATIONAL = 1
    NETWORK_SPECIFIC = 3
    ALPHANUMERIC = 5


class Npi(IntEnum):
    """Numbering plan, §5.2.6."""

    UNKNOWN = 0
    ISDN = 1


UDH_INDICATOR = 0x40
RECEIPT_TYPES = 0x3C
RECEIPT = 0x04
"""Bits of esm_class, §5.2.12: a header in the message; which kind of message; a delivery receipt."""

ANY_OUTCOME, FAILURE = 1, 2
"""Values of registered_delivery, §5.2.17: a receipt of whatever becomes of a message; of a failure alone."""


class Malformed(ValueError):
    """What arrived is not SMPP."""


class Address(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A number or a name, and what it is."""

    ton: int = 0
    npi: int = 0
    digits: str = ""

    def packed(self) -> bytes:
        """TON, NPI and the address."""
        return bytes((self.ton, self.npi)) + _c_octets(self.digits)


class Submit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """submit_sm, §4.4.1: one segment of a message."""

    source: Address
    destination: Address
    short_message: bytes
    data_coding: int
    esm_class: int = 0
    registered_delivery: int = 0
    validity_s: float | None = None
    service_type: str = ""
    reference: int = 0

    def body(self) -> bytes:
        """All behind the header."""
        lifetime = b"" if self.validity_s is None else relative_time(self.validity_s)
        text = self.short_message
        return b"".join(
            (
                _begin(self.service_type, self.source),
                self.destination.packed(),
                bytes((self.esm_class, 0, 0, 0)),  # protocol_id, priority_flag; schedule_delivery_time: now
                lifetime,
                bytes((0, self.registered_delivery, 0, self.data_coding, 0, len(text))),
                text,
                _OPTION.pack(Tag.USER_MESSAGE_REFERENCE, 2, self.reference),
            )
        )


class Deliver(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """deliver_sm, §4.6.1: somebody's message, or a receipt."""

    source: Address
    destination: Address
    esm_class: int
    data_coding: int
    short_message: bytes
    options: Mapping[int, bytes]

    @property
    def is_receipt(self) -> bool:
        """Whether it tells what became of a message of ours."""
        return self.esm_class & RECEIPT_TYPES == RECEIPT

    @property
    def octets(self) -> bytes:
        """The message, wherever it stands (§3.2.3)."""
        return self.options.get(Tag.MESSAGE_PAYLOAD) or self.short_message


def packed(command: Command, sequence: int, body: bytes = b"", status: int = 0) -> bytes:
    """A whole unit."""
    return HEADER.pack(HEADER.size + len(body), command, status, sequence) + body


def bind_body(system_id: str, password: str, system_type: str) -> bytes:
    """Of bind_transceiver, §4.1.5. Any address range: what is for us is the SMSC's to know."""
    names = b"".join(map(_c_octets, (system_id, password, system_type)))
    return names + bytes((VERSION, Ton.UNKNOWN, Npi.UNKNOWN)) + b"\0"


def relative_time(seconds: float) -> bytes:
    """A time from now, §7.1.1.1: `YYMMDDhhmmss000R`; a second at least and 28 days at most."""
    left = round(max(1, min(seconds, _VALIDITY_MAX_S)))
    days, left = divmod(left, _DAY_S)
    hours, left = divmod(left, _HOUR_S)
    return b"0000%02d%02d%02d%02d000R" % (days, hours, left // 60, left % 60)


def parse_deliver(body: bytes) -> Deliver:
    """The body of deliver_sm. `Malformed` where it ends too soon."""
    reader = Reader(body)
    reader.c_octets()  # service_type
    source, destination = reader.address(), reader.address()
    esm_class, _protocol, _priority = reader.octets(3)
    reader.c_octets()  # schedule_delivery_time
    reader.c_octets()  # validity_period
    _registered, _replace, data_coding, _canned, size = reader.octets(5)
    return Deliver(
        source=source,
        destination=destination,
        esm_class=esm_class,
        data_coding=data_coding,
        short_message=reader.octets(size),
        options=dict(reader.options()),
    )


def parse_message_id(body: bytes) -> str:
    """The id in submit_sm_resp; some SMSCs leave out the body, or the octet that ends it."""
    return body.partition(b"\0")[0].decode("latin-1")


class Reader:
    """Reads a body, field after field."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0

    def octets(self, count: int) -> bytes:
        """The next so many."""
        found = self._body[self._at : self._at + count]
        if len(found) < count:
            raise Malformed("a unit ends too soon")
        self._at += count
        return found

    def c_octets(self) -> str:
        """Text up to the octet that ends it."""
        end = self._body.find(b"\0", self._at)
        if end < 0:
            raise Malformed("a text has no end")
        found, self._at = self._body[self._at : end], end + 1
        return found.decode("latin-1")

    def address(self) -> Address:
        """An address with what it is."""
        ton, npi = self.octets(2)
        return Address(ton=ton, npi=npi, digits=self.c_octets())

    def options(self) -> Iterator[tuple[int, bytes]]:
        """The optional parameters that are left."""
        while self._at < len(self._body):
            tag, size = _TLV.unpack(self.octets(_TLV.size))
            yield tag, self.octets(size)


def is_response(command: int) -> bool:
    """Whether it answers something."""
    return bool(command & _RESPONSE)


@lru_cache(maxsize=1024)
def _begin(service_type: str, source: Address) -> bytes:
    """What a submit_sm begins with: the same for most messages of a channel."""
    return _c_octets(service_type) + source.packed()


def _c_octets(text: str) -> bytes:
    """`ValueError` where the text is not ASCII, or could end too soon."""
    octets = text.encode("ascii")
    if b"\0" in octets:
        raise ValueError("a text holds the octet that would end it")
    return octets + b"\0"
