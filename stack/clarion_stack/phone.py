"""A phone for text messages: an SMSC that speaks SMPP 3.4 and shows what it is given. Not made for load.

Whoever binds must know the password, and is told that messages were delivered where it asks to be. A number whose last
digits are 000 is not in service.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from clarion_core import logs
from clarion_core.domain.medium import Channel
from clarion_core.domain.sms_text import Alphabet
from clarion_stack.arrivals import Arrivals
from clarion_stack.records import TextMessage
from clarion_workers.channels.sms.smpp.pdu import (
    ANY_OUTCOME,
    HEADER,
    PDU_MAX,
    RECEIPT,
    UDH_INDICATOR,
    Address,
    Command,
    Deliver,
    Malformed,
    Reader,
    Submit,
    Ton,
    is_response,
    packed,
    parse_deliver,
)
from clarion_workers.channels.sms.text import DataCoding, gsm_text

NOT_IN_SERVICE = "000"
TOLD_MAX, TOLD_AGAIN_S = 10, 0.5

# Command statuses, SMPP 3.4 §5.1.3.
_OK, _BAD_COMMAND, _NOT_BOUND, _SYSTEM_ERROR, _BAD_DESTINATION, _BAD_PASSWORD = 0x00, 0x03, 0x04, 0x08, 0x0B, 0x0E
_RESPONSE = 0x80000000
_UNFINISHED_MAX = 1_000

_Key = tuple[str, str, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """One segment: who to whom, its text, and which one it is of how many of one reference."""

    source: str
    destination: str
    text: str
    alphabet: Alphabet
    reference: int = 0
    number: int = 1
    of: int = 1


class Handset:
    """Puts segments together, as a phone does, by sender, reference and number; whole texts are kept.

    A text is known by its last segment's id, which receipts of all of it name.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._unfinished: OrderedDict[_Key, dict[int, tuple[Segment, str]]] = OrderedDict()

    def take(self, segment: Segment) -> str:
        """Take a segment; the id it has from now on. `OSError` where it can't be kept."""
        message_id = secrets.token_hex(5)
        key = (segment.source, segment.destination, segment.reference, segment.of)
        have = self._unfinished.get(key, {}) | {segment.number: (segment, message_id)}
        if len(have) == segment.of:
            self._keep([have[number] for number in sorted(have)])
            self._unfinished.pop(key, None)
        else:
            self._unfinished[key] = have
            if len(self._unfinished) > _UNFINISHED_MAX:
                self._unfinished.popitem(last=False)
        return message_id

    def _keep(self, segments: list[tuple[Segment, str]]) -> None:
        first, message_id = segments[0][0], segments[-1][1]
        text = TextMessage(
            source=first.source,
            to=first.destination,
            alphabet=first.alphabet.title,
            parts=[segment.text for segment, _ in segments],
            ids=[each for _, each in segments],
        )
        self._arrivals.keep(Channel.SMS, message_id, text)


@asynccontextmanager
async def answer_phone(arrivals: Arrivals, password: str, host: str, port: int) -> AsyncIterator[int]:
    """Take text messages while inside; yields the port, a free one for 0."""
    handset = Handset(arrivals)
    open_ones: set[asyncio.StreamWriter] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, Malformed):
                await _Session(reader, writer, handset, password).run()
        finally:
            open_ones.discard(writer)
            writer.close()

    server = await asyncio.start_server(connected, host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in list(open_ones):
            writer.transport.abort()
        await server.wait_closed()


class _Session:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handset: Handset, password: str
    ) -> None:
        self._reader, self._writer, self._handset, self._password = reader, writer, handset, password
        self._bound = False
        self._receipts: dict[int, tuple[bytes, int]] = {}  # by sequence: not taken yet, and how often they were told
        self._sequence = 0

    async def run(self) -> None:
        """Answer one unit after the other until the other side has enough."""
        command = 0
        while command != Command.UNBIND:
            size, command, status, sequence = HEADER.unpack(await self._reader.readexactly(HEADER.size))
            if not HEADER.size <= size <= PDU_MAX:
                raise Malformed("a unit of this size is none")
            body = await self._reader.readexactly(size - HEADER.size)
            if is_response(command):
                self._heard(status, sequence)
                continue
            answer, status, told = self._answer(command, body)
            self._writer.write(HEADER.pack(HEADER.size + len(told), answer, status, sequence) + told)
            if command == Command.SUBMIT_SM and status == _OK and body_wants_receipt(body):
                self._tell(receipt_of(parse_deliver(body), told.rstrip(b"\0")))
            await self._writer.drain()

    def _tell(self, receipt: bytes, told: int = 0) -> None:
        if self._writer.is_closing():
            return
        self._sequence += 1
        self._receipts[self._sequence] = receipt, told + 1
        self._writer.write(packed(Command.DELIVER_SM, self._sequence, receipt))

    def _heard(self, status: int, sequence: int) -> None:
        """What is not taken is told again: the other side may not have recorded its message yet."""
        receipt, told = self._receipts.pop(sequence, (b"", TOLD_MAX))
        if status != _OK and told < TOLD_MAX:
            asyncio.get_running_loop().call_later(TOLD_AGAIN_S, self._tell, receipt, told)

    def _answer(self, command: int, body: bytes) -> tuple[int, int, bytes]:
        """The command, the status and the body of the answer."""
        answer = command | _RESPONSE
        match command:
            case Command.BIND_TRANSCEIVER:
                return answer, self._bind(body), b"clarion-phone\0"
            case Command.SUBMIT_SM:
                return answer, *(self._submit(body) if self._bound else (_NOT_BOUND, b""))
            case Command.ENQUIRE_LINK | Command.UNBIND:
                return answer, _OK, b""
        return Command.GENERIC_NACK, _BAD_COMMAND, b""

    def _bind(self, body: bytes) -> int:
        reader = Reader(body)
        reader.c_octets()  # system_id: whoever knows the password
        self._bound = secrets.compare_digest(reader.c_octets().encode(), self._password.encode())
        return _OK if self._bound else _BAD_PASSWORD

    def _submit(self, body: bytes) -> tuple[int, bytes]:
        segment = segment_of(parse_deliver(body))
        if segment.destination.endswith(NOT_IN_SERVICE):
            return _BAD_DESTINATION, b""
        try:
            return _OK, self._handset.take(segment).encode() + b"\0"
        except OSError as error:
            logs.get(__name__).error("message_not_kept", error=error.strerror)
            return _SYSTEM_ERROR, b""


def segment_of(submitted: Deliver) -> Segment:
    """What a submit_sm brings: its body is laid out like a deliver_sm's (§4.4.1, §4.6.1). `Malformed` if it is none."""
    octets, reference, number, of = submitted.octets, 0, 1, 1
    if submitted.esm_class & UDH_INDICATOR:
        # 3GPP TS 23.040 §9.2.3.24.1: one element, of a reference of 8 bits, how many there are, and which it is.
        if octets[:3] != b"\x05\x00\x03" or len(octets) < 6:
            raise Malformed("a header that this phone does not read")
        reference, of, number = octets[3:6]
        octets = octets[6:]
        if not 1 <= number <= of:
            raise Malformed("a segment beyond the last")
    wide = submitted.data_coding == DataCoding.UCS2
    return Segment(
        source=_shown(submitted.source),
        destination=_shown(submitted.destination),
        text=octets.decode("utf-16-be", "replace") if wide else gsm_text(octets),
        alphabet=Alphabet.UCS2 if wide else Alphabet.GSM7,
        reference=reference,
        number=number,
        of=of,
    )


def body_wants_receipt(body: bytes) -> bool:
    """Whether a submit_sm asks to be told of a success (§5.2.17)."""
    reader = Reader(body)
    reader.c_octets()  # service_type
    reader.address()
    reader.address()
    reader.octets(3)
    reader.c_octets()  # schedule_delivery_time
    reader.c_octets()  # validity_period
    return reader.octets(1)[0] & 0x03 == ANY_OUTCOME


def receipt_of(submitted: Deliver, message_id: bytes) -> bytes:
    """The body of a deliver_sm that says that it was delivered (§5.2.28, Appendix B)."""
    words = b"id:%s sub:001 dlvrd:001 submit date:0000000000 done date:0000000000 stat:DELIVRD err:000 text:"
    return Submit(
        source=submitted.destination,
        destination=submitted.source,
        short_message=words % message_id,
        data_coding=DataCoding.DEFAULT,
        esm_class=RECEIPT,
    ).body()


def _shown(address: Address) -> str:
    return f"+{address.digits}" if address.ton == Ton.INTERNATIONAL else address.digits
