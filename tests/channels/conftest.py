"""Providers to hand messages to: real servers on loopback, told by a message's address how to behave."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Callable
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest
import trustme

from clarion_workers.channels.email import EmailChannel
from clarion_workers.channels.http import Request
from support.emails import config
from support.peers import EXAMPLES, KINDS, peer_of, smpp
from support.peers.peer import Peer
from support.peers.smpp import SmppPeer
from support.plain_http import Open, Plain
from support.smtp_sink import SmtpSink


def shown_name(content: bytes) -> str:
    """The display name in From, by our own reading: the standard library's parser parts encoded words by spaces."""
    head = content.partition(b"\r\n\r\n")[0].decode().replace("\r\n ", " ")
    value = next(line for line in head.split("\r\n") if line.startswith("From: "))[len("From: ") :]
    phrase = value.rpartition("<")[0].strip(" ")
    if phrase.startswith('"'):
        return re.sub(r"\\(.)", r"\1", phrase[1:-1])
    return str(make_header(decode_header(phrase)))


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


@pytest.fixture(params=[*KINDS, *EXAMPLES])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of provider that a configuration may name, and those that examples describe."""
    return str(request.param)


@pytest.fixture
async def peer(kind: str, server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[Peer]:
    async with peer_of(kind, server_tls, ca) as made:
        yield made
        await made.close()


@pytest.fixture
async def open_plain() -> AsyncIterator[Open]:
    channels: list[Plain] = []

    def make(port: int, scheme: str = "http", tls: ssl.SSLContext | None = None, **changes: Any) -> Plain:
        limits = {name: changes.pop(name) for name in ("connections", "timeout_s") if name in changes}
        request = {"url": f"{scheme}://127.0.0.1:{port}/messages", "body": b"{}", "headers": {}} | changes
        channels.append(Plain(Request(**request), tls=tls, **limits))
        return channels[-1]

    yield make
    for channel in channels:
        await channel.close()


@pytest.fixture
def client_tls(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


@pytest.fixture
async def smsc(server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[SmppPeer]:
    async with smpp.peer(server_tls, ca) as made:
        yield made
        await made.close()
