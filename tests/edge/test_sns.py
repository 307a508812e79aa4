"""Amazon SNS: what is signed by it counts, once, and nothing else does anything."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import boto3
import pytest
import trustme
from moto.server import ThreadedMotoServer

from clarion_core.domain.bounce import BounceCategory
from clarion_core.domain.feedback import Fact, FactKind
from clarion_core.domain.suppression import SuppressionReason
from support import ses_events
from support.edge import Door
from support.sns_post import HOST, TOPIC, LocalDns, SnsPost

PATH = "/receipts/ses"
FILE = "sources: [{{name: ses, sns: {{topics: [{topic}], ca_file: {authority}}}}}]"


@pytest.fixture
async def sns(door: Door, tmp_path: Path) -> AsyncIterator[SnsPost]:
    post = SnsPost()
    async with post.at_amazon(tmp_path) as (dns, authority):
        await door.open(FILE.format(topic=TOPIC, authority=authority), resolver=dns)
        yield post


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_signed_bounce_is_a_fact_and_suppresses_the_address(door: Door, sns: SnsPost, version: str) -> None:
    [one] = await door.sent()
    assert await door.post(PATH, sns.envelope(ses_events.bounce(one), version=version, Subject="A bounce")) == 200
    assert await door.facts() == (
        Fact(
            kind=FactKind.BOUNCED,
            time_ms=1_737_367_205_000,
            provider="ses",
            category=BounceCategory.INVALID_RECIPIENT,
            code="Permanent/General",
            detail="smtp; 550 5.1.1 user unknown",
        ),
    )
    assert await door.suppressed() is SuppressionReason.HARD_BOUNCE


async def test_duplicates_in_any_order_leave_one_fact_a_kind(door: Door, sns: SnsPost) -> None:
    [one] = await door.sent()
    told = [ses_events.complaint(one), ses_events.bounce(one), ses_events.delivered(one)]
    statuses = [await door.post(PATH, sns.envelope(each)) for each in told * 3]
    assert statuses == [200] * 9
    assert [fact.kind for fact in await door.facts()] == [FactKind.DELIVERED, FactKind.BOUNCED, FactKind.COMPLAINED]
    feedback = (await door.records.get(door._trigger)).trigger.feedback
    assert (feedback.delivered, feedback.bounced, feedback.complained) == (1, 1, 1)


async def test_a_certificate_is_fetched_once(door: Door, sns: SnsPost) -> None:
    [one] = await door.sent()
    posts = [door.post(PATH, sns.envelope(ses_events.bounce(one))) for _ in range(8)]
    assert await asyncio.gather(*posts) == [200] * 8
    assert len(sns.asked) == 1


def tampered(envelope: str, **changes: str) -> str:
    return json.dumps(json.loads(envelope) | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"Message": "{}"},
        {"Timestamp": "2025-01-21T10:00:06.000Z"},
        {"Subject": "added"},
        {"Signature": "AAAA"},
        {"Signature": "no base64!"},
        {"SignatureVersion": "2"},
        {"SignatureVersion": "3"},
        {"SignatureVersion": ""},
        {"TopicArn": "arn:aws:sns:eu-west-1:999999999999:somebodys"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil.test/SimpleNotificationService-0.pem"},
        {"SigningCertURL": "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem"},
        {"SigningCertURL": "https://evil.test/?https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem"},
        {"SigningCertURL": "https://s3.amazonaws.com/SimpleNotificationService-0.pem"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com:444/SimpleNotificationService-0.pem"},
        {"SigningCertURL": "https://a@sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com/x/SimpleNotificationService-0.pem"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem\n"},
        {"Type": "UnsubscribeConfirmation"},
    ],
)
async def test_what_is_not_as_it_was_signed_is_forged_and_changes_nothing(
    door: Door, sns: SnsPost, changes: dict[str, str]
) -> None:
    [one] = await door.sent()
    assert await door.post(PATH, tampered(sns.envelope(ses_events.bounce(one)), **changes)) == 403
    assert await door.facts() == ()
    assert await door.suppressed() is None
    assert await door.counted("clarion_edge_requests", source="ses", answer="forged") == 1


async def test_another_key_under_amazons_url_is_forged(door: Door, sns: SnsPost) -> None:
    [one] = await door.sent()
    assert await door.post(PATH, SnsPost().envelope(ses_events.bounce(one))) == 403
    assert await door.facts() == ()


async def test_a_certificate_that_is_over_is_worth_nothing(door: Door, tmp_path: Path) -> None:
    post = SnsPost(days=-1)
    async with post.at_amazon(tmp_path) as (dns, authority):
        await door.open(FILE.format(topic=TOPIC, authority=authority), resolver=dns)
        [one] = await door.sent()
        assert await door.post(PATH, post.envelope(ses_events.bounce(one))) == 403
    assert await door.facts() == ()


async def test_a_host_that_can_not_show_that_it_is_amazons_is_not_asked_and_the_message_comes_again(
    door: Door, tmp_path: Path
) -> None:
    post = SnsPost()
    async with post.at_amazon(tmp_path, ("evil.test",)) as (dns, authority):
        await door.open(FILE.format(topic=TOPIC, authority=authority), resolver=dns)
        [one] = await door.sent()
        assert await door.post(PATH, post.envelope(ses_events.bounce(one))) == 503
    assert (post.asked, await door.facts()) == ([], ())


async def test_a_subscription_to_a_topic_of_ours_is_confirmed(door: Door, sns: SnsPost) -> None:
    assert await door.post(PATH, sns.confirmation()) == 200
    assert [path for path in sns.asked if "Action=ConfirmSubscription" in path]


@pytest.mark.parametrize(
    "changes",
    [
        {"TopicArn": "arn:aws:sns:eu-west-1:123456789012:another"},
        {"SubscribeURL": "https://evil.test/?Action=ConfirmSubscription&Token=1"},
        {"SubscribeURL": "https://sns.eu-west-1.amazonaws.com.evil.test/?Action=ConfirmSubscription&Token=1"},
        {"SubscribeURL": "http://169.254.169.254/latest/meta-data"},
        {"SubscribeURL": f"https://{HOST}/?Action=DeleteTopic&TopicArn=x"},
    ],
)
async def test_no_other_subscription_is_confirmed(door: Door, sns: SnsPost, changes: dict[str, str]) -> None:
    assert await door.post(PATH, sns.confirmation(**changes)) == 403
    assert all(path.endswith(".pem") for path in sns.asked)


async def test_what_sns_itself_signs_in_moto_is_believed(door: Door, tmp_path: Path) -> None:
    """moto signs what it posts, with a certificate that its server shows where Amazon would."""
    moto = ThreadedMotoServer(port=0, verbose=False)
    await asyncio.to_thread(moto.start)
    try:
        _, port = moto.get_host_and_port()
        async with relayed(port, tmp_path) as (dns, authority):
            client = boto3.client(
                "sns",
                endpoint_url=f"http://127.0.0.1:{port}",
                region_name="us-east-1",
                aws_access_key_id="key",
                aws_secret_access_key="secret",
            )
            topic = (await asyncio.to_thread(client.create_topic, Name="clarion"))["TopicArn"]
            await door.open(FILE.format(topic=topic, authority=authority), resolver=dns)
            [one] = await door.sent()
            await asyncio.to_thread(client.subscribe, TopicArn=topic, Protocol="http", Endpoint=f"{door.url}{PATH}")
            await asyncio.to_thread(client.publish, TopicArn=topic, Message=ses_events.complaint(one))
            assert [fact.kind for fact in await door.facts()] == [FactKind.COMPLAINED]
            assert await door.suppressed() is SuppressionReason.COMPLAINT
            client.close()
    finally:
        await asyncio.to_thread(moto.stop)


# One port is all of Amazon: moto tells its services apart by who asks.
_FOR_MOTO = b"Connection: close\r\nAuthorization: AWS4-HMAC-SHA256 Credential=key/20250120/us-east-1/sns/aws4_request"


@contextlib.asynccontextmanager
async def relayed(port: int, directory: Path) -> AsyncIterator[tuple[LocalDns, Path]]:
    """TLS in front of a port of this machine, under Amazon's name."""
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(str(directory / "authority.pem"))
    authority.issue_cert("sns.us-east-1.amazonaws.com").configure_cert(tls)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        inner_reader, inner = await asyncio.open_connection("127.0.0.1", port)
        inner.write(head.replace(b"\r\n\r\n", b"\r\n" + _FOR_MOTO + b"\r\n\r\n"))
        writer.write(await inner_reader.read())
        await writer.drain()
        for each in (inner, writer):
            each.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield LocalDns(server.sockets[0].getsockname()[1]), directory / "authority.pem"
