"""A server nobody here wrote: aiosmtpd, which offers no PIPELINING and answers step by step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes, policy
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope

from clarion_core.domain.outcome import PermanentFailure, Sent
from clarion_workers.channels.email import EmailChannel
from support.emails import email

Open = Callable[..., EmailChannel]


class Mailbox:
    def __init__(self) -> None:
        self.port = 0
        self.envelopes: list[Envelope] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        return "250 2.0.0 kept"


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    made, loop = Mailbox(), asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(made, enable_SMTPUTF8=True, loop=loop, hostname="sink"), "127.0.0.1", 0
    )
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    await server.wait_closed()


async def test_messages_arrive_as_they_were_meant(mailbox: Mailbox, open_channel: Open) -> None:
    text = ".\n..\nline\n.end\n\nŽluťoučký kůň\n"
    messages = [email(n, subject=f"Žádost {n} ✓", text=text, html="<p>.\n.</p>\n") for n in range(40)]
    outcomes = await open_channel(mailbox.port).send(messages)
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert sorted(e.rcpt_tos[0] for e in mailbox.envelopes) == sorted(m.to_address for m in messages)
    for envelope in mailbox.envelopes:
        assert isinstance(envelope.content, bytes)
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert parsed["Subject"].startswith("Žádost ")
        body = parsed.get_body(("plain",))
        assert body is not None
        assert body.get_content().replace("\r\n", "\n") == text


async def test_a_wide_address_arrives(mailbox: Mailbox, open_channel: Open) -> None:
    [outcome] = await open_channel(mailbox.port).send([email(to="иван@example.com")])
    assert isinstance(outcome, Sent)
    assert mailbox.envelopes[0].rcpt_tos == ["иван@example.com"]
    assert mailbox.envelopes[0].smtp_utf8


async def test_a_refused_recipient_leaves_the_connection_usable(mailbox: Mailbox, open_channel: Open) -> None:
    channel = open_channel(mailbox.port, connections=1)
    first, second, third = await channel.send([email(1), email(2, "nobody@example.com"), email(3)])
    assert isinstance(first, Sent)
    assert isinstance(second, PermanentFailure)
    assert second.detail == "550 5.1.1 no such mailbox"
    assert isinstance(third, Sent)
    assert len(mailbox.envelopes) == 2
