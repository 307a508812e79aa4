"""The SMTP inlet: mail to addresses that we made becomes facts; for anybody else there is nothing here."""

from __future__ import annotations

import asyncio

import aiosmtplib
import pytest
from aiosmtplib import SMTP, SMTPRecipientRefused

from clarion_core import verp
from clarion_core.domain.bounce import BounceType
from clarion_core.domain.feedback import FactKind
from clarion_core.domain.suppression import SuppressionReason
from clarion_edge import inlet
from clarion_edge.inlet import LONGEST_MESSAGE
from support.bounces import ARF, AUTO_REPLY, QMAIL, report, wire
from support.edge import BOUNCES, SECRET, Door

FILE = f"mail: {{domain: {BOUNCES}, secret: {{env: RECEIPTS_SECRET}}}}"
MAIL = "127.0.0.1:0"


async def send(door: Door, to: str, content: bytes, sender: str = "") -> str:
    """Hand a message to the inlet; what it answered."""
    async with SMTP(hostname="127.0.0.1", port=door.edge.mail_port) as client:
        _, said = await client.sendmail(sender, [to], content)
    return said


async def test_a_report_that_comes_back_is_a_hard_bounce_and_suppresses_the_address(door: Door) -> None:
    await door.open(FILE, edge_mail=MAIL)
    [one] = await door.sent()
    for _ in range(2):
        await send(door, door.bounce_address(one), report())
    [fact] = await door.facts()
    assert (fact.kind, fact.bounce_type, fact.code, fact.provider) == (
        FactKind.BOUNCED,
        BounceType.HARD,
        "5.1.1",
        "dsn",
    )
    assert await door.suppressed() is SuppressionReason.HARD_BOUNCE


async def test_the_addresss_case_does_not_matter(door: Door) -> None:
    await door.open(FILE, edge_mail=MAIL)
    [one] = await door.sent()
    await send(door, door.bounce_address(one).upper(), report())
    assert len(await door.facts()) == 1


@pytest.mark.parametrize("whose", ["made up", "another delivery's", "another secret's", "another domain's", "anybody"])
async def test_an_address_that_we_did_not_make_is_refused(door: Door, whose: str) -> None:
    await door.open(FILE, edge_mail=MAIL)
    first, second = await door.sent(2)
    ours = door.bounce_address(first)
    address = {
        "made up": f"bounce+{first}.{'0' * 16}@{BOUNCES}",
        "another delivery's": ours.replace(first, second),
        "another secret's": verp.encode(first, BOUNCES, b"a secret that is another one"),
        "another domain's": verp.encode(first, "bounces.other.test", SECRET.encode()),
        "anybody": "ana@example.com",
    }[whose]
    async with SMTP(hostname="127.0.0.1", port=door.edge.mail_port) as client:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
            await client.sendmail("", [address], report())
    [each] = refused.value.recipients
    assert isinstance(each, SMTPRecipientRefused)
    assert each.code == 550
    assert [delivery.facts for delivery in await door.deliveries()] == [(), ()]


async def test_a_complaint_finds_its_delivery_by_the_address_it_names(door: Door) -> None:
    await door.open(FILE, edge_mail=MAIL)
    [one] = await door.sent()
    ours = door.bounce_address(one)
    complaint = wire(ARF, domain=BOUNCES, kind="abuse", mail_from="somebody@example.com", return_path=ours)
    await send(door, f"complaints@{BOUNCES}", complaint, "abuse@isp.example.com")
    assert [fact.kind for fact in await door.facts()] == [FactKind.COMPLAINED]
    assert await door.suppressed() is SuppressionReason.COMPLAINT


async def test_a_complaint_that_names_none_of_ours_says_nothing(door: Door) -> None:
    await door.open(FILE, edge_mail=MAIL)
    [one] = await door.sent()
    made_up = f"bounce+{one}.{'0' * 16}@{BOUNCES}"
    complaint = wire(ARF, domain=BOUNCES, kind="abuse", mail_from=made_up, return_path=made_up)
    await send(door, f"complaints@{BOUNCES}", complaint, "abuse@isp.example.com")
    assert await door.facts() == ()


async def test_an_automatic_answer_is_taken_and_is_no_fact(door: Door) -> None:
    await door.open(FILE, edge_mail=MAIL)
    [one] = await door.sent()
    await send(door, door.bounce_address(one), wire(AUTO_REPLY, to="x"), "user-0@example.com")
    assert await door.facts() == ()
    assert await door.counted("clarion_edge_requests", source="dsn", answer="ignored") == 1


async def test_a_bounce_in_no_known_form_suppresses_nobody(door: Door) -> None:
    await door.open(FILE, edge_mail=MAIL)
    [one] = await door.sent()
    await send(door, door.bounce_address(one), wire(QMAIL, to="x"))
    assert [fact.bounce_type for fact in await door.facts()] == [BounceType.NEUTRAL]
    assert await door.suppressed() is None


async def test_what_comes_back_after_the_lifetime_is_taken_and_counted(door: Door) -> None:
    await door.open(FILE, edge_mail=MAIL)
    await send(door, door.bounce_address("00" + "1" * 19 + "-0"), report())
    assert await door.counted("clarion_edge_facts", source="dsn", kind="bounced", noted="gone") == 1


async def test_a_message_that_is_too_long_is_refused(door: Door) -> None:
    await door.open(FILE, edge_mail=MAIL)
    [one] = await door.sent()
    with pytest.raises(aiosmtplib.SMTPException):
        await send(door, door.bounce_address(one), report() + b"x" * 70 + b"\r\n" * LONGEST_MESSAGE)
    assert await door.facts() == ()


async def test_both_secrets_of_a_change_are_known(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEW_SECRET", "the secret that is used from now on")
    names = "secret: {env: NEW_SECRET}, previous_secret: {env: RECEIPTS_SECRET}"
    await door.open(f"mail: {{domain: {BOUNCES}, {names}}}", edge_mail=MAIL)
    first, second = await door.sent(2)
    await send(door, door.bounce_address(first), report())
    await send(door, verp.encode(second, BOUNCES, b"the secret that is used from now on"), report())
    assert [len(each.facts) for each in await door.deliveries()] == [1, 1]


@pytest.mark.parametrize("hello", [b"", b"HELO a\r\n", b"EHLO a\r\n"])
async def test_who_comes_while_too_many_are_connected_is_told_to_come_later(
    door: Door, monkeypatch: pytest.MonkeyPatch, hello: bytes
) -> None:
    monkeypatch.setattr(inlet, "CONNECTIONS_MAX", 2)
    await door.open(FILE, edge_mail=MAIL)
    present = [await asyncio.open_connection("127.0.0.1", door.edge.mail_port) for _ in range(2)]
    for reader, writer in present:
        assert (await reader.readline()).startswith(b"220 ")
        writer.write(hello)
    reader, writer = await asyncio.open_connection("127.0.0.1", door.edge.mail_port)
    assert await reader.read() == b"421 4.3.2 too many connections\r\n"
    for _, each in [*present, (reader, writer)]:
        each.close()
