"""Mail that came back: what reports and complaints tell, and that nothing breaks the reading."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion_core.domain.bounce import BounceCategory
from clarion_core.domain.feedback import Fact, FactKind
from clarion_edge.returned import NOTHING, Returned, read
from support.bounces import ARF, AUTO_REPLY, QMAIL, READ, report, wire

UNDETERMINED = Fact(kind=FactKind.BOUNCED, provider="dsn", category=BounceCategory.UNDETERMINED)


def told(content: bytes, sender: str = "") -> Returned:
    return read(content, sender=sender, provider="dsn")


def fact_of(content: bytes, sender: str = "") -> Fact:
    fact = told(content, sender).fact
    assert fact
    return fact


def test_a_report_of_postfix_is_a_bounce_with_its_time_and_words() -> None:
    assert fact_of(report()) == Fact(
        kind=FactKind.BOUNCED,
        time_ms=1_737_367_205_000,
        provider="dsn",
        category=BounceCategory.INVALID_RECIPIENT,
        code="5.1.1",
        detail="550 5.1.1 user unknown",
    )


@pytest.mark.parametrize(
    ("status", "said", "category", "code"),
    [
        ("5.1.1", "550 unknown", BounceCategory.INVALID_RECIPIENT, "5.1.1"),
        ("5.2.2 (full)", "552 over quota", BounceCategory.MAILBOX_FULL, "5.2.2"),
        ("4.4.7", "delivery time expired", BounceCategory.TIMEOUT, "4.4.7"),
        ("5.0.0", "550 5.1.1 user unknown", BounceCategory.INVALID_RECIPIENT, "5.1.1"),
        ("5.0.0", "552 exceeded storage", BounceCategory.MAILBOX_FULL, "5.0.0"),
        ("", "550-5.2.1 disabled", BounceCategory.RECIPIENT_REFUSED, "5.2.1"),
        ("5.0.0", "550 refused by 192.0.2.5.1.1", BounceCategory.UNDETERMINED, "5.0.0"),
        ("garbage", "", BounceCategory.UNDETERMINED, "garbage"),
    ],
)
def test_the_status_tells_or_else_the_words(status: str, said: str, category: BounceCategory, code: str) -> None:
    fact = fact_of(report(status, said))
    assert (fact.category, fact.code) == (category, code)


@pytest.mark.parametrize(
    ("action", "kind"), [("failed", "BOUNCED"), ("Delayed", "DEFERRED"), ("delivered", "DELIVERED")]
)
def test_the_action_tells_what_happened(action: str, kind: str) -> None:
    fact = fact_of(report(action=action))
    assert (fact.kind.name, fact.category is None) == (kind, kind != "BOUNCED")


@pytest.mark.parametrize("action", ["relayed", "expanded"])
def test_where_nobody_knows_more_nothing_is_told(action: str) -> None:
    assert told(report(action=action)) == NOTHING


def arf(kind: str = "abuse") -> bytes:
    return wire(ARF, domain="bounces.shop.test", kind=kind, mail_from="one@b.test", return_path="two@b.test")


def test_a_complaint_names_where_the_message_came_from() -> None:
    found = told(arf(), "abuse@isp.example.com")
    assert found.fact == Fact(kind=FactKind.COMPLAINED, time_ms=1_737_374_400_000, provider="dsn", code="abuse")
    assert found.bounce_addresses == ("<one@b.test>", "<two@b.test>")


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure"])
def test_what_is_no_complaint_is_none(kind: str) -> None:
    assert told(arf(kind), "abuse@isp.example.com") == NOTHING


@pytest.mark.parametrize("content", [AUTO_REPLY, READ], ids=["away", "read"])
@pytest.mark.parametrize("sender", ["", "user-0@example.com"])
def test_answers_of_machines_are_no_bounces(content: str, sender: str) -> None:
    assert told(wire(content, to="x"), sender) == NOTHING


def test_a_bounce_without_a_report_is_one_for_an_undetermined_reason() -> None:
    assert fact_of(wire(QMAIL, to="x")) == UNDETERMINED


def test_what_a_person_writes_is_no_bounce() -> None:
    assert told(b"From: ana@example.com\r\nSubject: Re: Hello\r\n\r\nThanks!\r\n", "ana@example.com") == NOTHING


@given(st.binary(max_size=300), st.sampled_from(["", "a@example.com"]))
def test_no_bytes_break_the_reading(content: bytes, sender: str) -> None:
    told(content, sender)


@given(seed=st.integers(0, 2**32), source=st.sampled_from(["report", "arf", "read"]))
def test_no_damage_to_a_report_breaks_the_reading(seed: int, source: str) -> None:
    content = bytearray({"report": report(), "arf": arf(), "read": wire(READ, to="x")}[source])
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 30)):
        at = chance.randrange(len(content))
        match chance.randrange(3):
            case 0:
                content[at] = chance.randrange(256)
            case 1:
                del content[at : at + chance.randint(1, 40)]
            case 2:
                content[at:at] = content[at : at + chance.randint(1, 200)]
    found = told(bytes(content))
    assert found.fact is None or found.fact.provider == "dsn"


@pytest.mark.parametrize("depth", [50, 5_000])
@pytest.mark.parametrize("kind", ["message/rfc822", "multipart/mixed; boundary=b"])
def test_parts_within_parts_do_not_break_the_reading(depth: int, kind: str) -> None:
    inner = b"--b\r\n" if "multipart" in kind else b""
    content = f"Content-Type: {kind}\r\n\r\n".encode() + inner
    assert fact_of(content * depth) == UNDETERMINED


def test_many_parts_are_not_all_looked_at() -> None:
    part = b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    late = b"--b\r\nContent-Type: message/delivery-status\r\n\r\n\r\nAction: delivered\r\n\r\n--b--"
    head = b"Content-Type: multipart/report; boundary=b\r\n\r\n"
    assert fact_of(head + part * 300 + late) == UNDETERMINED


def nested(depth: int) -> bytes:
    """Multiparts within multiparts, and a megabyte of empty lines in the innermost."""
    head = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b0\r\n\r\n"
    for number in range(1, depth):
        head += b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (number - 1, number)
    return head + b"--b%d\r\n\r\n" % (depth - 1) + b"\r\n" * 500_000


@pytest.mark.parametrize(
    "content",
    [
        nested(20),
        nested(90),
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 100_000,
        b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        + b"A: b\r\n\r\n" * 100_000,
        b"Content-Type: multipart/mixed;" + b"\r\n a*0=b;" * 100_000 + b"\r\n\r\n",
        b"From: " + b"(" * 500_000 + b"\r\n\r\n",
        b"From: " + b"<" * 500_000 + b"\r\n\r\n",
    ],
    ids=["20 deep", "90 deep", "many parts", "many blocks", "many parameters", "comments in comments", "angles"],
)
def test_a_message_made_to_take_long_is_read_as_far_as_it_makes_sense(content: bytes) -> None:
    assert fact_of(content) == UNDETERMINED


def test_a_report_before_a_returned_message_of_many_lines_is_read() -> None:
    returned = report().replace(b"Subject:", b"Subject:", 1) + b"x\r\n" * 100_000
    assert fact_of(returned) == fact_of(report())
