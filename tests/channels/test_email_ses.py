"""Amazon SES: what it is asked, signatures as botocore makes them, what answers mean, and a message through moto."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3
import msgspec
import pytest
import trustme
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as AmazonsCredentials
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from clarion_core.configuration.file import read
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels.email.message import Copy, EmailMessage
from clarion_workers.channels.email.mime import MimeBuilder
from clarion_workers.channels.email.ses import SesChannel
from clarion_workers.channels.http import Answer
from clarion_workers.channels.kind import Opening
from clarion_workers.channels.registry import PROVIDERS
from clarion_workers.channels.sigv4 import Credentials, Scope, signed
from support.dkim import pem, rsa_key, verified
from support.emails import email
from support.moto_server import moto_server
from support.peers.over_http import serving
from support.peers.ses import KEY, SECRET, TOKEN, SesPeer, part

WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)


@pytest.fixture
async def peer(server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[SesPeer]:
    async with serving(SesPeer(ca), server_tls) as made:
        yield made
        await made.close()


def channel(**changes: Any) -> SesChannel:
    known = Credentials(access_key_id=KEY, secret_access_key=SECRET)
    return SesChannel(part(None, **changes), MimeBuilder("mail.example.com"), lambda: known)


def asked(message: EmailMessage, **changes: Any) -> Any:
    request = asyncio.run(channel(**changes).request(message))
    assert not isinstance(request, PermanentFailure)
    assert request.url == "https://email.eu-central-1.amazonaws.com/v2/email/outbound-emails"
    return msgspec.json.decode(request.body)


def answered(status: int, error: str, words: str = "", **headers: str) -> Outcome:
    body = msgspec.json.encode({"message": words})
    answer = Answer(status=status, headers={"x-amzn-ErrorType": error} | headers, body=body)
    return channel().outcome(email(), answer)


@given(st.binary(max_size=2_000), WORDS, WORDS, st.sampled_from(["", TOKEN]), st.integers(0, 2**33))
def test_signatures_are_those_that_botocore_makes(body: bytes, secret: str, value: str, token: str, now_s: int) -> None:
    credentials = Credentials(access_key_id=KEY, secret_access_key=secret, session_token=token)
    headers = signed(
        credentials,
        Scope(region="eu-central-1", service="ses"),
        method="POST",
        host="email.eu-central-1.amazonaws.com",
        path="/v2/email/outbound-emails",
        headers={"Content-Type": "application/json", "X-Some": f" {value}  {value} "},
        body=body,
        now_s=now_s,
    )
    theirs = AWSRequest(
        "POST",
        "https://email.eu-central-1.amazonaws.com/v2/email/outbound-emails",
        data=body,
        headers={name: value for name, value in headers.items() if name != "Authorization"},
    )
    theirs.context["timestamp"] = headers["X-Amz-Date"]
    auth = SigV4Auth(AmazonsCredentials(KEY, secret, token or None), "ses", "eu-central-1")
    signature = auth.signature(auth.string_to_sign(theirs, auth.canonical_request(theirs)), theirs)
    names = auth.signed_headers(auth.headers_to_sign(theirs))
    assert headers["Authorization"] == (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(theirs)}, SignedHeaders={names}, Signature={signature}"
    )


async def test_temporary_credentials_bring_their_token(peer: SesPeer) -> None:
    [outcome] = await peer.channel(token=TOKEN).send([peer.message("takes", 1)])
    assert isinstance(outcome, Sent)


async def test_credentials_that_expired_are_read_again(peer: SesPeer) -> None:
    known = [Credentials(access_key_id=KEY, secret_access_key=SECRET, session_token=each) for each in ("new", "old")]
    peer.expired = "old"
    ses = SesChannel(
        part(f"https://127.0.0.1:{peer.port}"), MimeBuilder("mail.example.com"), lambda: known.pop(), peer.trust
    )
    peer.channels.append(ses)
    [first] = await ses.send([peer.message("takes", 1)])
    assert isinstance(first, TransientFailure)
    assert first.reason is Reason.PROVIDER_CREDENTIALS
    [second] = await ses.send([peer.message("takes", 1)])
    assert isinstance(second, Sent)
    assert peer.received() == ["00j4k-1"]


@pytest.mark.parametrize("ahead_s", [-7_200, 7_200])
async def test_a_wrong_clock_costs_one_attempt(peer: SesPeer, ahead_s: float) -> None:
    known = Credentials(access_key_id=KEY, secret_access_key=SECRET)
    ses = SesChannel(
        part(f"https://127.0.0.1:{peer.port}"),
        MimeBuilder("mail.example.com"),
        lambda: known,
        peer.trust,
        clock=lambda: time.time() + ahead_s,
    )
    peer.channels.append(ses)
    [first] = await ses.send([peer.message("takes", 1)])
    assert isinstance(first, TransientFailure)
    assert first.reason is Reason.PROVIDER_CREDENTIALS
    outcomes = await ses.send([peer.message("takes", number) for number in (1, 2)])
    assert [type(outcome) for outcome in outcomes] == [Sent, Sent]


def test_a_message_goes_as_it_is_built_and_says_whose_it_is() -> None:
    message = replace(email(7), campaign="order-confirmation")
    told = asked(message, configuration_set="clarion", identity_arn="arn:aws:ses:eu-central-1:1:identity/example.com")
    built = MimeBuilder("mail.example.com").build(message)
    assert not isinstance(built, PermanentFailure)
    assert msgspec.json.decode(msgspec.json.encode(told["Content"]["Raw"]["Data"]), type=bytes) == built.content
    del told["Content"]
    assert told == {
        "FromEmailAddress": "orders@example.com",
        "FromEmailAddressIdentityArn": "arn:aws:ses:eu-central-1:1:identity/example.com",
        "Destination": {"ToAddresses": ["ada7@example.com"]},
        "ConfigurationSetName": "clarion",
        "EmailTags": [
            {"Name": "clarion-delivery", "Value": "00j4k-7"},
            {"Name": "clarion-campaign", "Value": "order-confirmation"},
        ],
    }


CONFIGURATION = """
email:
  providers:
    - name: ses
      ses:
        region: eu-central-1
        access_key_id: AKIAIOSFODNN7EXAMPLE
        secret_access_key: {env: SES_SECRET}
        session_token: {file: token}
        url: https://127.0.0.1:PORT
        ca_file: ca.pem
  dkim: [{domain: example.com, selector: r2026, private_key: {env: DKIM_KEY}}]
  bounces: {domain: bounces.example.com, secret: {env: BOUNCES}}
"""


async def test_what_ses_sets_itself_is_not_signed_and_bounces_have_their_address(peer: SesPeer, ca_file: Path) -> None:
    file = ca_file.with_name("channels.yaml")
    file.write_text(CONFIGURATION.replace("PORT", str(peer.port)))
    file.with_name("token").write_text(f"{TOKEN}\n")
    environment = {"SES_SECRET": SECRET, "DKIM_KEY": pem(rsa_key()), "BOUNCES": "a secret of bounces"}
    configured = read(file, environment).email
    assert configured
    [provider] = configured.providers
    opening = Opening(environment=environment, message_id_domain="mail.example.com", channel=configured)
    ses = PROVIDERS[provider.kind].open(provider.settings, opening)
    assert [type(outcome) for outcome in await ses.send([email(1)])] == [Sent]
    await ses.close()
    asked = peer.asked
    assert asked["FeedbackForwardingEmailAddress"].endswith("@bounces.example.com")
    resent = re.sub(rb"(?m)^(Message-ID|Date): .*\r$", rb"\1: as Amazon likes it\r", peer.content)
    assert resent != peer.content
    assert verified(peer.content) == verified(resent) == [True]


def test_what_becomes_of_a_copy_is_no_fact_of_the_delivery() -> None:
    told = asked(replace(email(7), copy=Copy(kind="bcc", number=1, address="audit@example.com")))
    assert told["Destination"] == {"ToAddresses": ["audit@example.com"]}
    assert told["EmailTags"] == []


def test_an_address_beyond_ascii_is_left_to_other_providers() -> None:
    refusal = asyncio.run(channel().request(email(1, "größe@example.com")))
    assert isinstance(refusal, PermanentFailure)
    assert refusal.reason is Reason.PROVIDER_UNSUPPORTED


@pytest.mark.parametrize(
    ("status", "error", "words", "kind", "reason"),
    [
        (400, "MessageRejected", "", PermanentFailure, Reason.MESSAGE_REFUSED),
        (400, "MessageRejected", "Email address is not verified. …", TransientFailure, Reason.PROVIDER_CREDENTIALS),
        (400, "MailFromDomainNotVerifiedException", "", TransientFailure, Reason.PROVIDER_CREDENTIALS),
        (400, "AccountSuspendedException", "", TransientFailure, Reason.PROVIDER_CREDENTIALS),
        (400, "SendingPausedException", "", TransientFailure, Reason.PROVIDER_DEFERRED),
        (400, "LimitExceededException", "", TransientFailure, Reason.PROVIDER_DEFERRED),
        (429, "TooManyRequestsException", "", TransientFailure, Reason.PROVIDER_DEFERRED),
        (400, "ThrottlingException", "", TransientFailure, Reason.PROVIDER_DEFERRED),
        (404, "NotFoundException", "", TransientFailure, Reason.PROVIDER_CREDENTIALS),
        (403, "AccessDeniedException", "", TransientFailure, Reason.PROVIDER_CREDENTIALS),
        (403, "UnrecognizedClientException", "", TransientFailure, Reason.PROVIDER_CREDENTIALS),
        (403, "SignatureDoesNotMatch", "", TransientFailure, Reason.PROVIDER_CREDENTIALS),
        (400, "ExpiredTokenException", "", TransientFailure, Reason.PROVIDER_CREDENTIALS),
        (400, "BadRequestException", "Missing final '@domain'", PermanentFailure, Reason.RECIPIENT_REFUSED),
        (400, "BadRequestException", "Local address contains control", PermanentFailure, Reason.RECIPIENT_REFUSED),
        (400, "BadRequestException", "", PermanentFailure, Reason.MESSAGE_REFUSED),
        (400, "Unheard", "", PermanentFailure, Reason.MESSAGE_REFUSED),
        (503, "ServiceUnavailable", "", TransientFailure, Reason.PROVIDER_DEFERRED),
    ],
)
@pytest.mark.parametrize("form", ["{}", "{}:http://internal.amazon.com/coral/", "com.amazonaws.sesv2#{}"])
def test_an_error_means_what_its_name_says(
    status: int, error: str, words: str, kind: type[Outcome], reason: Reason, form: str
) -> None:
    outcome = answered(status, form.format(error), words, **{"Retry-After": "5"})
    assert isinstance(outcome, kind)
    assert isinstance(outcome, PermanentFailure | TransientFailure)
    assert (outcome.reason, outcome.detail) == (reason, " ".join(filter(None, (str(status), error, words))))


@pytest.mark.parametrize("error", ["InternalFailure", "BadRequestException", ""])
def test_something_that_broke_at_amazon_is_ambiguous(error: str) -> None:
    assert isinstance(answered(500, error), Ambiguous)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"MessageId": null}', b"<html>"])
def test_an_acceptance_counts_whatever_else_it_says(body: bytes) -> None:
    assert channel().outcome(email(), Answer(status=200, headers={}, body=body)) == Sent(detail="200")


async def test_a_message_arrives_at_moto() -> None:
    known = Credentials(access_key_id=KEY, secret_access_key=SECRET)
    with moto_server() as url:
        await asyncio.to_thread(own, url, "example.com")
        ses = SesChannel(part(url), MimeBuilder("mail.example.com"), lambda: known)
        sent, unknown = await ses.send([email(1, text="Größe • 🎁\n"), email(2, sender="who@elsewhere.example")])
        await ses.close()
        [arrived] = await asyncio.to_thread(arrivals, url)
    assert isinstance(sent, Sent)
    assert sent.provider_id == arrived["id"]
    assert (arrived["source"], set(arrived["destinations"])) == ("orders@example.com", {"ada1@example.com"})
    body = message_from_bytes(arrived["raw_data"].encode(), policy=default).get_body(("plain",))
    assert body
    assert body.get_content().splitlines() == ["Größe • 🎁"]
    assert isinstance(unknown, PermanentFailure)
    assert unknown.detail.startswith("400 MessageRejected ")


def own(url: str, domain: str) -> None:
    """Have a domain that may be sent from."""
    boto3.client(
        "sesv2",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    ).create_email_identity(EmailIdentity=domain)


def arrivals(url: str) -> list[dict[str, Any]]:
    """The messages that moto took."""
    with urlopen(f"{url}/moto-api/data.json") as answer:
        found: list[dict[str, Any]] = json.load(answer)["ses"]["RawMessage"]
    return found


@pytest.mark.parametrize(
    ("account", "ok", "words"),
    [
        ({}, True, "the account may send 14 a second; in the sandbox: to verified addresses alone"),
        ({"ProductionAccessEnabled": True}, True, "the account may send 14 a second"),
        ({"SendingEnabled": False}, False, "our credentials are taken, but the account may not send"),
    ],
)
async def test_a_look_tells_whether_the_account_may_send(
    peer: SesPeer, account: dict[str, bool], ok: bool, words: str
) -> None:
    peer.account = account
    found = await peer.channel().check()
    assert (found.ok, found.detail) == (ok, words)
