"""SMTP: a scripted server that behaves as the recipient's address says."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from typing import Any, ClassVar

import trustme

from clarion_workers.channels.email import EmailChannel, EmailMessage
from support.emails import closed_port, config, email
from support.smtp_sink import Features, SmtpSink

from .peer import BEHAVIOURS, Peer


class SmtpPeer(Peer):
    """Can't say how long to wait when it throttles (421 and 4yz have no such field), and has no idempotency key."""

    TESTED_BY = "a scripted SMTP server; aiosmtpd"
    behaviours = tuple(each for each in BEHAVIOURS if each != "throttles")
    SECRETS = ("example.com", "ada", "scripted", "falsch4711", "Thank")
    ADDRESSES: ClassVar = {
        "takes": "ada{}@example.com",
        "refuses for now": "dot-451+{}@example.com",
        "refuses the recipient": "rcpt-550+{}@example.com",
        "refuses the message": "dot-554+{}@example.com",
        "hangs before hand-over": "data-hang+{}@example.com",
        "hangs after hand-over": "dot-hang+{}@example.com",
        "breaks before hand-over": "data-drop+{}@example.com",
        "breaks after hand-over": "dot-drop+{}@example.com",
    }

    def __init__(self, sink: SmtpSink) -> None:
        super().__init__()
        self.sink = sink
        self.released = sink.released
        self.channels: list[EmailChannel] = []

    def channel(self, **changes: Any) -> EmailChannel:
        return self._made(EmailChannel(config(self.sink.port, **changes)))

    def unreachable(self) -> EmailChannel:
        return self._made(EmailChannel(config(closed_port())))

    def wrongly_known(self) -> EmailChannel:
        return self.channel(username="clarion", password="falsch4711")

    def distrusting(self) -> EmailChannel:
        return self.channel(security="starttls")  # the system's authorities do not know the sink's

    def message(self, behaviour: str, number: int, text: str = "Thank you.\n") -> EmailMessage:
        return email(number, self.ADDRESSES[behaviour].format(number), text=text)

    def received(self) -> list[str]:
        return [message.message_id.partition("@")[0] for message in self.sink.messages]

    def received_texts(self) -> list[str]:
        parsed = [message_from_bytes(message.content, policy=default) for message in self.sink.messages]
        return [str(each.get_body(("plain",)).get_content()) for each in parsed]  # type: ignore[union-attr]

    def lifetimes_s(self) -> list[float | None]:
        by = [re.search(r"\bBY=(\d+);R", message.parameters) for message in self.sink.messages]
        return [float(found[1]) if found else None for found in by]

    def ids(self) -> list[str]:
        return [f"S{number}" for number in range(1, len(self.sink.messages) + 1)]

    async def wait_for(self, count: int) -> None:
        await self.sink.wait_for(count)

    async def close(self) -> None:
        for channel in self.channels:
            await channel.close()

    def _made(self, channel: EmailChannel) -> EmailChannel:
        self.channels.append(channel)
        return channel


@asynccontextmanager
async def peer(server_tls: ssl.SSLContext, _ca: trustme.CA) -> AsyncIterator[SmtpPeer]:
    features = Features(deliver_by=True, starttls=True, auth="PLAIN LOGIN", user="", password="right")
    async with SmtpSink(features, tls=server_tls) as running:
        yield SmtpPeer(running)
