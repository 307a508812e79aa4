"""Providers to hand messages to: real servers on loopback, told by a message's address how to behave."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any, ClassVar

import pytest
import trustme

from clarion_workers.channels import Channel
from clarion_workers.channels.email import EmailChannel, EmailMessage, SmtpConfig
from support.smtp_sink import Features, SmtpSink

DATE_S = 1_795_507_200  # 2026-11-24T08:00:00Z


def email(number: int = 0, to: str = "", **changes: Any) -> EmailMessage:
    values: dict[str, Any] = {
        "delivery_id": f"00j4k-{number}",
        "sender": "Shop <orders@example.com>",
        "to_address": to or f"ada{number}@example.com",
        "subject": f"Your order {number}",
        "html": "<p>Thank you.</p>",
        "text": "Thank you.\n",
        "date_s": DATE_S,
    } | changes
    texts = {name: values[name].encode("utf-8", "replace") for name in ("html", "text")}
    return EmailMessage(**(values | texts))


def config(port: int, **changes: Any) -> SmtpConfig:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "message_id_domain": "mail.example.com",
        "connections": 4,
        "timeout_s": 5.0,
    }
    return SmtpConfig(**(values | changes))


class EmailProvider:
    """What the conformance suite needs to know of a channel: how to make its provider behave, and what it got."""

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
    LARGE = 2_000_000

    def __init__(self, sink: SmtpSink) -> None:
        self.sink = sink
        self.channels: list[EmailChannel] = []

    def channel(self, **changes: Any) -> Channel[EmailMessage]:
        channel = EmailChannel(config(self.sink.port, **changes))
        self.channels.append(channel)
        return channel

    def impatient(self) -> Channel[EmailMessage]:
        return self.channel(timeout_s=0.2)

    def unreachable(self) -> Channel[EmailMessage]:
        with_closed_port = EmailChannel(config(closed_port()))
        self.channels.append(with_closed_port)
        return with_closed_port

    def wrongly_known(self) -> Channel[EmailMessage]:
        return self.channel(username="clarion", password="wrong")

    def distrusting(self) -> Channel[EmailMessage]:
        return self.channel(security="starttls")  # the system's authorities do not know the sink's

    def message(self, behaviour: str, number: int, text: str = "Thank you.\n") -> EmailMessage:
        return email(number, self.ADDRESSES[behaviour].format(number), text=text)

    def received(self) -> list[str]:
        return [message.message_id.partition("@")[0] for message in self.sink.messages]

    def received_texts(self) -> list[bytes]:
        return [message.content for message in self.sink.messages]


def shown_name(content: bytes) -> str:
    """The display name in From, by our own reading: the standard library's parser parts encoded words by spaces."""
    head = content.partition(b"\r\n\r\n")[0].decode().replace("\r\n ", " ")
    value = next(line for line in head.split("\r\n") if line.startswith("From: "))[len("From: ") :]
    phrase = value.rpartition("<")[0].strip(" ")
    if phrase.startswith('"'):
        return re.sub(r"\\(.)", r"\1", phrase[1:-1])
    return str(make_header(decode_header(phrase)))


def closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def server_tls(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink() as running:
        yield running


@pytest.fixture
async def open_channel() -> AsyncIterator[Callable[..., EmailChannel]]:
    channels: list[EmailChannel] = []

    def make(port: int, **changes: Any) -> EmailChannel:
        channels.append(EmailChannel(config(port, **changes)))
        return channels[-1]

    yield make
    for channel in channels:
        await channel.close()


@pytest.fixture(params=["email"])
async def provider(server_tls: ssl.SSLContext) -> AsyncIterator[EmailProvider]:
    features = Features(starttls=True, auth="PLAIN LOGIN", user="", password="right")
    async with SmtpSink(features, tls=server_tls) as running:
        made = EmailProvider(running)
        yield made
        for channel in made.channels:
            await channel.close()
