"""Ids of messages that an SMSC writes in two ways: one number is one message, and never another one."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clarion_workers.channels.sms.inbound import Fate
from clarion_workers.channels.sms.smpp.ids import ReceiptIds, of_receipt, of_response
from clarion_workers.channels.sms.smpp.pdu import Address, Deliver, Tag
from clarion_workers.channels.sms.smpp.receiving import receipt_of

NUMBERS = st.integers(0, 16**16 - 1)
ID = st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=64)
BASES: dict[ReceiptIds, tuple[int, int]] = {"decimal": (16, 10), "hex": (10, 16)}  # of responses, of receipts


def receipt(text_id: str, parameter: bytes = b"") -> Deliver:
    address = Address(digits="1")
    return Deliver(
        source=address,
        destination=address,
        esm_class=4,
        data_coding=0,
        short_message=f"id:{text_id} stat:DELIVRD".encode() if text_id else b"stat:DELIVRD",
        options={Tag.RECEIPTED_MESSAGE_ID: parameter} if parameter else {},
    )


def found(text_id: str, parameter: bytes, written: ReceiptIds) -> str:
    told = receipt_of(receipt(text_id, parameter), written)
    assert told
    assert told.fate is Fate.DELIVERED
    return told.message_id


@given(NUMBERS, st.sampled_from(["", "0", "000"]), st.booleans())
def test_the_same_number_is_the_same_message(number: int, zeros: str, upper: bool) -> None:
    hexadecimal = zeros + format(number, "X" if upper else "x")
    assert of_response(hexadecimal, "decimal") == of_receipt(f"{zeros}{number}", "decimal")
    assert of_response(f"{zeros}{number}", "hex") == of_receipt(hexadecimal, "hex")


@given(ID, ID, st.sampled_from(sorted(BASES)))
@example("10", "16", "decimal")
@example("0xA", "10", "decimal")
@example("abc", "2748", "hex")
@example("9" * 64, "9" * 64, "hex")
def test_what_is_not_the_same_number_is_never_the_same_message(response: str, told: str, written: ReceiptIds) -> None:
    same = of_response(response, written) == of_receipt(told, written)
    numbers = [number(response, BASES[written][0]), number(told, BASES[written][1])]
    if None in numbers:
        assert not same or response == told
    else:
        assert same == (numbers[0] == numbers[1])


def number(message_id: str, base: int) -> int | None:
    """What it is by the base's digits alone: Python's `int` takes more."""
    digits = string.digits if base == 10 else string.hexdigits
    return int(message_id, base) if set(message_id) <= set(digits) else None


@given(ID)
def test_ids_are_as_they_are_unless_told(message_id: str) -> None:
    assert of_response(message_id, "as_sent") == of_receipt(message_id, "as_sent") == message_id


@pytest.mark.parametrize(
    ("text_id", "parameter", "written", "message_id"),
    [
        ("2587", b"0A1B\0", "as_sent", "0A1B"),  # a parameter is the response's by the specification
        ("2587", b"0A1B\0", "decimal", "2587"),
        ("2587", b"2587\0", "decimal", "2587"),
        ("", b"0A1B\0", "decimal", "2587"),
        ("A1B", b"2587\0", "hex", "2587"),
        ("", b"2587\0", "hex", "2587"),
        ("9" * 5_000, b"", "decimal", "9" * 5_000),
    ],
)
def test_the_text_says_which_message_where_it_is_written_in_another_way(
    text_id: str, parameter: bytes, written: ReceiptIds, message_id: str
) -> None:
    assert found(text_id, parameter, written) == message_id
