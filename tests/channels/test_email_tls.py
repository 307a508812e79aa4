"""TLS as it must be: required where asked for, verified always, nothing taken over from before it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import trustme
import uvloop

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Outcome, Sent, TransientFailure
from clarion_workers.channels.email import EmailChannel
from support.emails import config, email
from support.smtp_sink import Features, SmtpSink

Open = Callable[..., EmailChannel]


def secured(security: str, tls: ssl.SSLContext) -> SmtpSink:
    features = Features(starttls=security == "starttls", auth="PLAIN", user="clarion", password="secret")
    return SmtpSink(features, tls=tls, implicit_tls=security == "tls")


def assert_credentials(outcome: Outcome) -> None:
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.PROVIDER_CREDENTIALS


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_mail_goes_over_tls(
    security: Literal["starttls", "tls"], server_tls: ssl.SSLContext, ca_file: Path, open_channel: Open
) -> None:
    async with secured(security, server_tls) as sink:
        channel = open_channel(
            sink.port, security=security, ca_file=ca_file, username="clarion", password="secret", connections=2
        )
        outcomes = await channel.send([email(n) for n in range(30)])
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert len(sink.messages) == 30
        assert sink.commands["STARTTLS"] == (sink.connections if security == "starttls" else 0)
        await channel.close()


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_over_tls_under_uvloop(
    security: Literal["starttls", "tls"], server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    async def journey() -> list[Outcome]:
        async with secured(security, server_tls) as sink:
            channel = EmailChannel(
                config(sink.port, security=security, ca_file=ca_file, username="clarion", password="secret")
            )
            messages = [email(n, text="0123456789abcdef\n" * (20_000 if n == 3 else 1)) for n in range(30)]
            outcomes = await channel.send(messages)
            await channel.close()
            return outcomes

    assert all(isinstance(outcome, Sent) for outcome in uvloop.run(journey()))


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_another_hosts_certificate_is_refused(
    security: Literal["starttls", "tls"], ca: trustme.CA, ca_file: Path, open_channel: Open
) -> None:
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("mail.example.com").configure_cert(other)
    async with secured(security, other) as sink:
        [outcome] = await open_channel(sink.port, security=security, ca_file=ca_file).send([email()])
        assert_credentials(outcome)
        assert not sink.begun


async def test_a_server_without_starttls_gets_nothing(sink: SmtpSink, open_channel: Open) -> None:
    [outcome] = await open_channel(sink.port, security="starttls", username="u", password="p").send([email()])
    assert_credentials(outcome)
    assert not sink.begun
    assert not sink.commands["AUTH"]


@pytest.mark.parametrize("reply", ["454 4.7.0 not now", "220 ready\r\n250-injected\r\n250 AUTH PLAIN"])
async def test_starttls_refused_or_followed_by_clear_text_ends_the_connection(
    reply: str, server_tls: ssl.SSLContext, ca_file: Path, open_channel: Open
) -> None:
    async with secured("starttls", server_tls) as sink:
        sink.script("starttls", reply)
        [outcome] = await open_channel(sink.port, security="starttls", ca_file=ca_file, timeout_s=1.0).send([email()])
        assert_credentials(outcome)
        assert getattr(outcome, "detail", "").startswith("TLS failed: ")
        assert not sink.begun


async def test_implicit_tls_to_a_server_that_speaks_in_the_clear_fails(sink: SmtpSink, open_channel: Open) -> None:
    [outcome] = await open_channel(sink.port, security="tls", timeout_s=1.0).send([email()])
    assert isinstance(outcome, TransientFailure)
    assert not sink.begun


async def test_a_wrong_password_is_told_in_the_servers_words(
    server_tls: ssl.SSLContext, ca_file: Path, open_channel: Open
) -> None:
    async with secured("starttls", server_tls) as sink:
        channel = open_channel(sink.port, security="starttls", ca_file=ca_file, username="clarion", password="wrong")
        [outcome] = await channel.send([email()])
        assert_credentials(outcome)
        assert getattr(outcome, "detail", "").startswith("535 5.7.8")


async def test_credentials_are_not_sent_in_the_clear_to_another_host(
    monkeypatch: pytest.MonkeyPatch, open_channel: Open
) -> None:
    # No other host is at hand: the one that answers is made to look like one.
    monkeypatch.setattr("clarion_workers.channels.email.wire.Wire.peer", "192.0.2.1")
    async with SmtpSink(Features(auth="PLAIN", user="clarion", password="secret")) as sink:
        [outcome] = await open_channel(sink.port, username="clarion", password="secret").send([email()])
        assert_credentials(outcome)
        assert not sink.commands["AUTH"]


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_lost_large_content_is_no_riddle_on_either_loop(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def journey() -> Outcome:
        async with SmtpSink() as sink:
            channel = EmailChannel(config(sink.port))
            large = email(1, "content-hang+1@example.com", text=("x" * 79 + "\n") * 2_000_000)
            sending = asyncio.ensure_future(channel.send([large]))
            await sink.wait_for_command("DATA")
            sink.released.set()
            [outcome] = await sending
            await channel.close()
            return outcome

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        outcome = runner.run(journey())
    assert isinstance(outcome, TransientFailure)
