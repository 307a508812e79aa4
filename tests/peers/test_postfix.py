"""Debian's Postfix takes our mail, hands it on as it was signed, and brings back what could not be delivered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import EmailMessage as Parsed
from email.policy import default
from typing import Any

import pytest

from clarion_core import verp
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import PermanentFailure, Sent, TransientFailure
from clarion_workers.channels.email import EmailChannel, Letterhead
from clarion_workers.channels.email.attachments import Attachment
from clarion_workers.channels.email.letterhead import Bounces, Unsubscribing
from support.dkim import signing, verified
from support.emails import config, email
from support.postfix import NAME, Postfix, running
from support.smtp_sink import SmtpSink

DOMAIN, SECRET = "bounces.example.com", b"a secret of bounces"
SHARED = Letterhead(
    signers=signing().signers,
    bounces=Bounces(domain=DOMAIN, secret=SECRET),
    unsubscribing=Unsubscribing(url="https://go.example.com/{delivery}"),
)
PDF = Attachment(name="Rechnung für Ada.pdf", content_type="application/pdf", data=bytes(range(256)) * 400)
LOGO = Attachment(name="logo.png", content_type="image/png", data=b"\x89PNG\r\n", content_id="logo")


@pytest.fixture
async def world() -> AsyncIterator[SmtpSink]:
    """Everybody else's mail server: takes all that Postfix passes on, but for what an address tells it to refuse."""
    async with SmtpSink() as sink:
        yield sink


@pytest.fixture
async def postfix(world: SmtpSink) -> AsyncIterator[Postfix]:
    async with running(world.port) as server:
        yield server


def channel_to(postfix: Postfix, **changes: Any) -> EmailChannel:
    credentials = {"username": f"{postfix.username}@{NAME}", "password": postfix.password}
    settings = {"security": "starttls", "ca_file": postfix.ca_file, "timeout_s": 30.0} | credentials | changes
    return EmailChannel(config(postfix.port, **settings), SHARED)


def part_of(message: Parsed, kind: str) -> Parsed:
    [part] = [part for part in message.walk() if part.get_content_type() == kind]
    return part  # type: ignore[return-value]


async def test_mail_of_every_shape_arrives_as_it_was_signed(postfix: Postfix, world: SmtpSink) -> None:
    messages = [
        email(0, text="Käse und Brot\n.\n..\n" * 200, html=""),
        email(1, html="<p>" + "x" * 5_000 + "</p>", amp=b"<html amp4email></html>"),
        email(2, attachments=(PDF, LOGO)),
        email(3, "grüße@example.com", subject="Ihre Bestellung, 注文 🎁"),
        email(4, headers=(("X-Order", "7"),), category="transactional", cc=("Boß <boss@example.com>",)),
    ]
    channel = channel_to(postfix)
    outcomes = await channel.send(messages)
    await channel.close()
    assert all(isinstance(outcome, Sent) and outcome.provider_id for outcome in outcomes)
    received = await world.wait_for(len(messages))
    assert sorted(message.rcpt_to[0] for message in received) == sorted(message.to_address for message in messages)
    for message in received:
        assert b"(Postfix) with " in message.content
        assert verified(message.content) == [True, True]


async def test_what_a_server_far_away_refuses_comes_back_and_tells_its_delivery(
    postfix: Postfix, world: SmtpSink
) -> None:
    channel = channel_to(postfix)
    [outcome] = await channel.send([email(7, "rcpt-550+7@gone.example")])
    await channel.close()
    assert isinstance(outcome, Sent)
    [returned] = await world.wait_for(1)
    assert returned.mail_from == ""
    assert verp.decode(returned.rcpt_to[0], DOMAIN, [SECRET]) == "00j4k-7"
    report = message_from_bytes(returned.content, policy=default)
    assert report.get_content_type() == "multipart/report"
    _, about = part_of(report, "message/delivery-status").get_payload()  # type: ignore[misc]
    assert str(about["Final-Recipient"]).replace(" ", "") == "rfc822;rcpt-550+7@gone.example"
    assert (about["Action"], about["Status"]) == ("failed", "5.0.0")
    assert outcome.provider_id in str(part_of(report, "message/delivery-status"))
    assert b"Message-ID: <00j4k-7@mail.example.com>" in returned.content


async def test_each_of_many_messages_is_queued_once(postfix: Postfix, world: SmtpSink) -> None:
    channel = channel_to(postfix, per_domain=3)
    outcomes = await channel.send([email(number) for number in range(200)])
    await channel.close()
    ids = {outcome.provider_id for outcome in outcomes if isinstance(outcome, Sent)}
    assert len(ids) == 200
    received = await world.wait_for(200)
    assert len({message.message_id for message in received}) == len(received) == 200
    log = postfix.log.read_text("utf-8")
    assert all(f" {queue_id}: " in log for queue_id in ids)


async def test_a_message_above_its_size_is_not_even_begun(postfix: Postfix) -> None:
    channel = channel_to(postfix)
    large = Attachment(name="large.bin", content_type="application/octet-stream", data=bytes(9_000_000))
    [outcome] = await channel.send([email(1, attachments=(large,))])
    await channel.close()
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason is Reason.PROVIDER_UNSUPPORTED


@pytest.mark.parametrize(
    "changes", [{"password": "wrong"}, {"ca_file": None}, {"security": "none", "username": "", "password": ""}]
)
async def test_who_is_not_known_or_not_trusted_costs_no_message(
    postfix: Postfix, world: SmtpSink, changes: dict[str, Any]
) -> None:
    channel = channel_to(postfix, **changes)
    [outcome] = await channel.send([email(1)])
    await channel.close()
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.PROVIDER_CREDENTIALS
    assert not world.messages
