"""SMPP's units: what is written is what the specification says, and what is read can't be wrong unnoticed."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import PermanentFailure, TransientFailure
from clarion_workers.channels.sms.inbound import Fate, Inbound, Receipt
from clarion_workers.channels.sms.smpp.pdu import (
    Address,
    Command,
    Deliver,
    Malformed,
    Submit,
    Tag,
    bind_body,
    packed,
    parse_deliver,
    parse_message_id,
    relative_time,
)
from clarion_workers.channels.sms.smpp.receiving import inbound_of, receipt_of
from clarion_workers.channels.sms.smpp.status import NAMES, THROTTLING, bind_refusal, refusal, shown

DAY_S = 86_400
FORM = "id:{} sub:001 dlvrd:001 submit date:2611280800 done date:2611280801 stat:{} err:{} text:Thank you stat:x"


def delivery(text: bytes = b"", *, esm_class: int = 4, coding: int = 0, **options: bytes) -> Deliver:
    return Deliver(
        source=Address(ton=1, npi=1, digits="4915112345678"),
        destination=Address(ton=5, npi=0, digits="Clarion"),
        esm_class=esm_class,
        data_coding=coding,
        short_message=text,
        options={Tag[name.upper()]: value for name, value in options.items()},
    )


def test_a_unit_is_what_the_specification_shows() -> None:  # §3.1.1: its example of bind_transmitter, as transceiver
    body = bytes.fromhex("534D50503354455354 00 7365637265743038 00 5355424D495431 00 34 01 01 00")
    ours = bind_body("SMPP3TEST", "secret08", "SUBMIT1")
    assert ours[:-3] == body[:-3]  # there, the address range is of international numbers
    whole = packed(Command.BIND_TRANSCEIVER, 1, ours)
    assert whole[:16] == bytes.fromhex("0000002F 00000009 00000000 00000001")
    assert len(whole) == 0x2F


def test_a_segment_is_written_field_by_field() -> None:
    submit = Submit(
        source=Address(ton=5, npi=0, digits="Clarion"),
        destination=Address(ton=1, npi=1, digits="4915112345678"),
        short_message=b"\x1be 10",
        data_coding=0,
        esm_class=0x40,
        registered_delivery=1,
        validity_s=600,
        service_type="CMT",
        reference=0xABCD,
    )
    assert submit.body() == b"".join(
        [
            b"CMT\0",
            b"\x05\x00Clarion\0",
            b"\x01\x014915112345678\0",
            b"\x40\0\0",
            b"\0",
            b"000000001000000R\0",
            b"\x01\0\0\0",
            b"\x05\x1be 10",
            b"\x02\x04\0\x02\xab\xcd",
        ]
    )


@pytest.mark.parametrize("text", ["a\0b", "é"])
def test_no_text_can_become_another_field(text: str) -> None:
    with pytest.raises(ValueError, match=r"ends|end it|ascii"):
        Address(digits=text).packed()


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.2, b"000000000001000R"),
        (59.6, b"000000000100000R"),
        (3_599, b"000000005959000R"),
        (90_061, b"000001010101000R"),
        (400 * DAY_S, b"000028000000000R"),
    ],
)
def test_a_lifetime_is_a_time_from_now(seconds: float, written: bytes) -> None:
    assert relative_time(seconds) == written
    assert len(written) == 16


@given(st.integers(1, 28 * DAY_S))
def test_a_lifetime_is_as_long_as_it_was(seconds: int) -> None:
    text = relative_time(seconds).decode()
    days, hours, minutes, left = (int(text[at : at + 2]) for at in (4, 6, 8, 10))
    assert ((days * 24 + hours) * 60 + minutes) * 60 + left == seconds


@given(st.binary(max_size=120))
@example(b"")
def test_any_octets_are_a_delivery_or_malformed(body: bytes) -> None:
    try:
        found = parse_deliver(body)
    except Malformed:
        return
    receipt_of(found)
    inbound_of(found, "gsm")


def test_a_delivery_is_read_field_by_field() -> None:
    body = (
        b"\0\x01\x014915112345678\0\x03\x0012345\0\x04\0\0\0\0\x01\0\x08\0\x02hi"
        b"\x00\x1e\x00\x03m1\0\x04\x27\x00\x01\x02"
    )
    found = parse_deliver(body)
    assert (found.source.digits, found.destination.digits) == ("4915112345678", "12345")
    assert (found.is_receipt, found.data_coding, found.short_message) == (True, 8, b"hi")
    assert found.options == {Tag.RECEIPTED_MESSAGE_ID: b"m1\0", Tag.MESSAGE_STATE: b"\x02"}
    for end in range(len(body) - 12):
        with pytest.raises(Malformed):
            parse_deliver(body[:end])


@pytest.mark.parametrize(("body", "message_id"), [(b"m1\0", "m1"), (b"m1", "m1"), (b"", ""), (b"\xfc\0", "ü")])
def test_a_message_id_is_read_however_it_ends(body: bytes, message_id: str) -> None:
    assert parse_message_id(body) == message_id


@pytest.mark.parametrize(
    ("word", "fate"),
    [
        ("DELIVRD", Fate.DELIVERED),
        ("delivrd", Fate.DELIVERED),
        ("EXPIRED", Fate.EXPIRED),
        ("UNDELIV", Fate.UNDELIVERABLE),
        ("REJECTD", Fate.REJECTED),
        ("ENROUTE", Fate.ENROUTE),
        ("ACCEPTD", Fate.ACCEPTED),
        ("DELETED", Fate.DELETED),
        ("UNKNOWN", Fate.UNKNOWN),
        ("SOMETHING", Fate.UNKNOWN),
    ],
)
def test_a_receipt_of_text_says_what_became_of_which(word: str, fate: Fate) -> None:
    found = receipt_of(delivery(FORM.format("m-1/2", word, "000").encode()))
    assert found == Receipt(message_id="m-1/2", fate=fate, error="000")


def test_a_receipts_parameters_go_before_its_text() -> None:
    text = FORM.format("old", "DELIVRD", "001").encode()
    found = receipt_of(delivery(text, receipted_message_id=b"m7\0", message_state=b"\x05"))
    assert found == Receipt(message_id="m7", fate=Fate.UNDELIVERABLE, error="001")


def test_a_receipt_may_be_parameters_alone() -> None:
    found = receipt_of(
        delivery(receipted_message_id=b"m7\0", message_state=b"\x02", network_error_code=b"\x03\x00\x15")
    )
    assert found == Receipt(message_id="m7", fate=Fate.DELIVERED, error="21")


def test_a_receipt_may_stand_in_a_payload() -> None:
    found = receipt_of(delivery(message_payload=FORM.format("m9", "EXPIRED", "27").encode()))
    assert found == Receipt(message_id="m9", fate=Fate.EXPIRED, error="27")


@pytest.mark.parametrize("text", [b"", b"Hello", b"stat:DELIVRD", b"id: stat:DELIVRD"])
def test_a_receipt_of_nothing_is_none(text: bytes) -> None:
    assert receipt_of(delivery(text)) is None


@pytest.mark.parametrize(
    ("octets", "coding", "esm_class", "text"),
    [
        (b"STOP \x00", 0, 0, "STOP @"),
        (b"stop", 1, 0, "stop"),
        ("Größe".encode("latin-1"), 3, 0, "Größe"),
        ("СТОП".encode("utf-16-be"), 8, 0, "СТОП"),
        (b"\x05\x00\x03\x01\x02\x01STOP", 0, 0x40, "STOP"),
        (b"\x04\x1b", 8, 0, "Л"),
        (b"\x04", 8, 0, "\ufffd"),
    ],
)
def test_what_people_write_is_read(octets: bytes, coding: int, esm_class: int, text: str) -> None:
    found = inbound_of(delivery(octets, coding=coding, esm_class=esm_class), "gsm")
    assert found == Inbound(from_number="+4915112345678", to_number="Clarion", text=text)


REASONS = {
    0x01: Reason.MESSAGE_REFUSED,
    0x08: Reason.PROVIDER_DEFERRED,
    0x0A: Reason.PROVIDER_UNSUPPORTED,
    0x0B: Reason.RECIPIENT_REFUSED,
    0x14: Reason.PROVIDER_DEFERRED,
    0x45: Reason.PROVIDER_DEFERRED,
    0x58: Reason.PROVIDER_DEFERRED,
    0x62: Reason.MESSAGE_REFUSED,
    0x65: Reason.MESSAGE_REFUSED,
    0xC3: Reason.PROVIDER_UNSUPPORTED,
    0xFE: Reason.RECIPIENT_DEFERRED,
    0x400: Reason.PROVIDER_DEFERRED,
}
PERMANENT = {Reason.RECIPIENT_REFUSED, Reason.MESSAGE_REFUSED, Reason.PROVIDER_UNSUPPORTED}


@pytest.mark.parametrize(("status", "reason"), REASONS.items())
def test_a_status_means_what_the_specification_calls_it(status: int, reason: Reason) -> None:
    outcome = refusal(status)
    assert outcome.reason is reason
    assert isinstance(outcome, PermanentFailure if reason in PERMANENT else TransientFailure)
    assert shown(status) in outcome.detail


def test_a_refused_bind_never_ends_a_message() -> None:
    assert {bind_refusal(status).reason for status in (0x0D, 0x0E, 0x0F)} == {Reason.PROVIDER_CREDENTIALS}
    assert {bind_refusal(status).reason for status in (0x05, 0x08)} == {Reason.PROVIDER_DEFERRED}
    assert all(isinstance(bind_refusal(status), TransientFailure) for status in NAMES)
    assert {shown(status) for status in THROTTLING} == {"ESME_RTHROTTLED", "ESME_RMSGQFUL"}
