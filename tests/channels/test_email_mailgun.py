"""Mailgun: what it is asked, and what its answers mean beyond what every channel promises."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from msgspec.structs import replace

from clarion_core.configuration.file import read
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels.answers import refused
from clarion_workers.channels.email.attachments import Attachment
from clarion_workers.channels.email.mailgun import MailgunChannel
from clarion_workers.channels.email.message import Copy
from clarion_workers.channels.email.mime import MimeBuilder
from clarion_workers.channels.http import Answer
from clarion_workers.channels.kind import Opening
from clarion_workers.channels.registry import PROVIDERS
from support.dkim import pem, rsa_key, verified
from support.emails import email
from support.peers.mailgun import DOMAIN, SECRET, MailgunPeer, error, part
from support.peers.over_http import serving

NOT_ALLOWED = f"Domain {DOMAIN} is not allowed to send: "
INVALID = "'to' parameter is not a valid address. please check documentation"


@pytest.fixture
async def peer(server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[MailgunPeer]:
    async with serving(MailgunPeer(ca), server_tls) as made:
        yield made
        await made.close()


def channel(**changes: Any) -> MailgunChannel:
    return MailgunChannel(part(**changes), MimeBuilder("mail.example.com"), SECRET)


def answered(status: int, body: bytes, **headers: str) -> Outcome:
    return channel().outcome(email(), Answer(status=status, headers=headers, body=body))


def refusal(status: int, words: str, **headers: str) -> Outcome:
    body = error(status, words).body
    assert isinstance(body, bytes)
    return answered(status, body, **headers)


@pytest.mark.parametrize("url", ["https://api.mailgun.net", "https://api.eu.mailgun.net"])
def test_a_domain_is_asked_for_in_its_region(url: str) -> None:
    request = asyncio.run(channel(url=url).request(email()))
    assert not isinstance(request, PermanentFailure)
    assert request.url == f"{url}/v3/{DOMAIN}/messages.mime"


async def test_a_message_goes_as_it_is_built_and_says_whose_it_is(peer: MailgunPeer) -> None:
    message = replace(peer.message("takes", 7), campaign="order-confirmation")
    [outcome] = await peer.channel().send([message])
    built = MimeBuilder("mail.example.com").build(message)
    assert not isinstance(built, PermanentFailure)
    assert peer.content == built.content
    assert peer.fields.to_dict(flat=False) == {
        "to": ["takes7@example.com"],
        "o:tracking": ["no"],
        "o:tag": ["order-confirmation"],
        "v:clarion-delivery": ["00j4k-7"],
    }
    assert outcome == Sent(detail="200 Queued. Thank you.", provider_id=f"20260203192638.{0:016x}@{DOMAIN}")


async def test_what_looks_like_the_end_of_the_form_is_a_part_of_the_message(peer: MailgunPeer) -> None:
    file = b'\r\n--\r\nContent-Disposition: form-data; name="to"\r\n\r\neve@example.net\r\n--\r\n'
    message = replace(
        peer.message("takes", 1, file.decode()),
        attachments=(Attachment(name="form.bin", content_type="application/octet-stream", data=file),),
    )
    [outcome] = await peer.channel().send([message])
    assert isinstance(outcome, Sent)
    assert peer.fields.getlist("to") == ["takes1@example.com"]


async def test_in_test_mode_mailgun_is_told_so(peer: MailgunPeer) -> None:
    await peer.channel(test_mode=True).send([peer.message("takes", 1)])
    assert peer.fields["o:testmode"] == "yes"


CONFIGURATION = """
email:
  providers:
    - name: mailgun
      mailgun: {domain: mg.shop.example, api_key: {file: key}, url: "https://127.0.0.1:PORT", ca_file: ca.pem}
  dkim: [{domain: example.com, selector: r2026, private_key: {env: DKIM_KEY}}]
  bounces: {domain: bounces.example.com, secret: {env: BOUNCES}}
"""


async def test_what_is_signed_arrives_at_mailgun_as_it_was_signed(peer: MailgunPeer, ca_file: Path) -> None:
    file = ca_file.with_name("channels.yaml")
    file.write_text(CONFIGURATION.replace("PORT", str(peer.port)))
    file.with_name("key").write_text(f"{SECRET}\n")
    environment = {"DKIM_KEY": pem(rsa_key()), "BOUNCES": "a secret of bounces"}
    configured = read(file, environment).email
    assert configured
    [provider] = configured.providers
    opening = Opening(environment=environment, message_id_domain="mail.example.com", channel=configured)
    mailgun = PROVIDERS[provider.kind].open(provider.settings, opening)
    [outcome] = await mailgun.send([peer.message("takes", 1, "Größe\n")])
    await mailgun.close()
    assert isinstance(outcome, Sent)
    assert verified(peer.content) == [True]


async def test_what_becomes_of_a_copy_is_no_fact_of_the_delivery() -> None:
    copy = Copy(kind="bcc", number=1, address="audit@example.com")
    request = await channel().request(replace(email(7), copy=copy))
    assert not isinstance(request, PermanentFailure)
    assert b"audit@example.com" in request.body
    assert b"clarion-delivery" not in request.body


async def test_an_address_beyond_ascii_is_left_to_other_providers() -> None:
    refusal = await channel().request(email(1, "größe@example.com"))
    assert isinstance(refusal, PermanentFailure)
    assert refusal.reason is Reason.PROVIDER_UNSUPPORTED


@pytest.mark.parametrize(
    ("status", "words", "kind", "reason"),
    [
        (400, INVALID, PermanentFailure, Reason.RECIPIENT_REFUSED),
        (400, "to parameter is not a valid address", PermanentFailure, Reason.RECIPIENT_REFUSED),
        (400, "from parameter is not a valid address", PermanentFailure, Reason.MESSAGE_REFUSED),
        (400, "Header name must be pure ASCII: X-Größe", PermanentFailure, Reason.MESSAGE_REFUSED),
        (413, "request size exceeds 52.4MiB limit", PermanentFailure, Reason.MESSAGE_REFUSED),
        (400, f"{NOT_ALLOWED}The domain is unverified and requires DNS", TransientFailure, Reason.PROVIDER_CREDENTIALS),
        (403, f"{NOT_ALLOWED}Free accounts are for test purposes", TransientFailure, Reason.PROVIDER_CREDENTIALS),
        (403, "Rejected: IP 192.0.2.1 can’t be used to send", TransientFailure, Reason.PROVIDER_CREDENTIALS),
        (404, f"Domain not found: {DOMAIN}", TransientFailure, Reason.PROVIDER_CREDENTIALS),
        (404, "", TransientFailure, Reason.PROVIDER_UNREACHABLE),
        (402, "Request failed", TransientFailure, Reason.PROVIDER_DEFERRED),
        (503, "", TransientFailure, Reason.PROVIDER_DEFERRED),
    ],
)
def test_a_refusal_means_what_its_words_say(status: int, words: str, kind: type[Outcome], reason: Reason) -> None:
    outcome = refusal(status, words)
    assert isinstance(outcome, kind)
    assert isinstance(outcome, PermanentFailure | TransientFailure)
    assert (outcome.reason, outcome.detail) == (reason, f"{status} {words}".rstrip())


@pytest.mark.parametrize("status", [420, 429])
@pytest.mark.parametrize("limit", ["request", "recipient", "bytes"])
def test_a_limit_is_waited_for_as_long_as_its_words_say(status: int, limit: str) -> None:
    again = datetime.fromtimestamp(int(time.time()) + 1_800, UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
    outcome = refusal(status, f"{NOT_ALLOWED}{limit} limit exceeded, try again after {again}")
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.PROVIDER_DEFERRED
    assert outcome.retry_after_s is not None
    assert 1_700 <= outcome.retry_after_s <= 1_800


@pytest.mark.parametrize("again", ["", "try again after lunch", "try again after Mon, 99 Foo 2021 20:33:21 UTC"])
def test_a_limit_without_a_time_is_left_to_us(again: str) -> None:
    outcome = refusal(429, f"{NOT_ALLOWED}request limit exceeded, {again}")
    assert isinstance(outcome, TransientFailure)
    assert (outcome.reason, outcome.retry_after_s) == (Reason.PROVIDER_DEFERRED, None)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_something_that_broke_at_mailgun_is_ambiguous(status: int) -> None:
    assert isinstance(refusal(status, "Internal Server Error"), Ambiguous)
    assert isinstance(refusal(status, INVALID), Ambiguous)
    assert isinstance(refusal(status, f"{NOT_ALLOWED}…"), Ambiguous)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id": null}', b"<html>", b"\xff", b'{"message": {"a": 1}}'])
@pytest.mark.parametrize("status", [200, 400, 401, 404])
def test_a_body_that_is_not_mailguns_leaves_the_meaning_to_the_status(status: int, body: bytes) -> None:
    outcome = answered(status, body)
    answer = Answer(status=status, headers={}, body=body)
    assert type(outcome) is Sent if status == 200 else type(outcome) is type(refused(answer, ""))


async def test_a_look_tells_an_unknown_domain(peer: MailgunPeer) -> None:
    found = await peer.channel(domain="elsewhere.example").check()
    assert (found.ok, found.detail) == (
        False,
        "it refuses us: 404 Domain not found: /v3/elsewhere.example/messages.mime",
    )
    assert (await peer.channel().check()).detail == "our key is taken for the domain"


def test_a_look_tells_a_domain_that_may_not_send() -> None:
    body = error(400, f"{NOT_ALLOWED}The domain is unverified").body
    assert isinstance(body, bytes)
    found = channel().found(Answer(status=400, headers={}, body=body))
    assert (found.ok, found.detail) == (False, f"it refuses us: 400 {NOT_ALLOWED}The domain is unverified")
