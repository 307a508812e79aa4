"""The stack's own phone, devices and endpoint: what workers hand over is kept as it is; what is wrong is refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from clarion_core.configuration.channels import ChannelPart, Channels
from clarion_core.configuration.file import read
from clarion_core.configuration.webhook import signing_key
from clarion_core.domain.delivery import Reason
from clarion_core.domain.feedback import Fact, FactKind
from clarion_core.domain.medium import Channel
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_core.domain.sms_text import Alphabet
from clarion_stack import phone
from clarion_stack.arrivals import Arrivals, arrivals_in
from clarion_stack.authority import make_authority, read_authority
from clarion_stack.hooks import MISSING, STALE, TOLERANCE_S, VALID, WRONG, verdict
from clarion_stack.local import LOOPBACK, free_port
from clarion_stack.mailbox import SUFFIXES, Mailbox
from clarion_stack.peers import HOOKS, PHONE, Peers
from clarion_stack.phone import Handset, Segment
from clarion_workers.channels.kind import Opening
from clarion_workers.channels.registry import PROVIDERS
from clarion_workers.channels.sms.inbound import Hears
from clarion_workers.channels.sms.message import SmsMessage
from support.push.notifications import EVERYTHING, notification
from support.webhooks.calls import SECRET, call

LONG = "Größe 8: €" + "ab~ " * 60  # GSM 7 bit, with characters that take two septets
EMOJI = "Dein Paket ist da 🎁 " * 9


class Stack:
    """The catchers, the workers' channels to them, and what they kept."""

    def __init__(self, home: Path) -> None:
        self.peers = Peers(home=home, host=LOOPBACK, sms=free_port(), push=free_port(), webhook=free_port())
        self.file = home / "channels.yaml"
        self.file.write_text(self.peers.write(), "utf-8")
        self.mailbox = Mailbox(home / "mail")
        self.opened: list[Any] = []

    def channel(self, name: str, hears: Hears | None = None) -> Any:
        """A channel as a worker opens it, of what its configuration says now."""
        part: ChannelPart = getattr(read(self.file, {}), name)
        [provider] = part.providers
        opening = Opening(
            environment={}, message_id_domain="example.com", channel=part, provider=provider.name, hears=hears
        )
        self.opened.append(PROVIDERS[provider.kind].open(provider.settings, opening))
        return self.opened[-1]

    async def send(self, name: str, *messages: Any) -> list[Outcome]:
        outcomes: list[Outcome] = await self.channel(name).send(messages)
        return outcomes

    def kept(self, channel: Channel) -> list[dict[str, Any]]:
        return [json.loads(path.read_bytes()) for path in self.mailbox.files(channel)]


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[Stack]:
    stack = Stack(home)
    async with arrivals_in(stack.mailbox) as arrivals, stack.peers.catching(arrivals):
        try:
            yield stack
        finally:
            for channel in stack.opened:
                await channel.close()


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with running(tmp_path) as started:
        yield started


def a_text(text: str = "Hello", number: str = "+447700900123", at: int = 0) -> SmsMessage:
    return SmsMessage(delivery_id=f"00j4k-{at}", sender="LumenLoom", to_number=number, text=text)


async def test_every_channel_of_the_written_configuration_is_one_that_workers_read(stack: Stack) -> None:
    assert {name for name in Channels.model_fields if getattr(read(stack.file, {}), name)} == {"sms", "push", "webhook"}


@pytest.mark.parametrize(("text", "alphabet"), [("Hi", "GSM7"), (LONG, "GSM7"), (EMOJI, "UCS2"), ("", "GSM7")])
async def test_a_text_is_put_together_again(stack: Stack, text: str, alphabet: str) -> None:
    [outcome] = await stack.send("sms", a_text(text))
    assert isinstance(outcome, Sent)
    [record] = stack.kept(Channel.SMS)
    assert "".join(record["parts"]) == text
    assert (record["from"], record["to"], record["alphabet"]) == ("LumenLoom", "+447700900123", alphabet)
    assert sorted(record["ids"]) == sorted(str(outcome.provider_id).split())
    assert stack.mailbox.message_ids(Channel.SMS) == {str(outcome.provider_id).split()[0]: 1}


async def test_texts_to_many_phones_at_once_are_not_mixed(stack: Stack) -> None:
    texts = {f"+4477009{at:05}": f"{at} " + LONG for at in range(1, 90)}
    outcomes = await stack.send("sms", *(a_text(text, to, at) for at, (to, text) in enumerate(texts.items())))
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert {record["to"]: "".join(record["parts"]) for record in stack.kept(Channel.SMS)} == texts


async def test_a_number_out_of_service_is_refused_and_others_are_not(stack: Stack) -> None:
    refused, taken = await stack.send("sms", a_text(number="+447700900000", at=0), a_text(at=1))
    assert isinstance(refused, PermanentFailure)
    assert refused.reason is Reason.RECIPIENT_REFUSED
    assert isinstance(taken, Sent)


class Hearing:
    """Hears receipts, and refuses the first ones: their messages are not recorded yet."""

    def __init__(self, refusing: int) -> None:
        self.refusing, self.heard = refusing, asyncio.Queue[tuple[str, FactKind]]()

    async def hear_sent_as(self, provider: str, provider_id: str, fact: Fact) -> None:
        self.refusing -= 1
        if self.refusing >= 0:
            raise LookupError
        self.heard.put_nowait((provider_id, fact.kind))

    async def stop(self, workspaces: Sequence[str], channel: Channel, address: str, *, source: str) -> None:
        raise AssertionError(address)

    async def start(self, workspaces: Sequence[str], channel: Channel, address: str) -> None:
        raise AssertionError(address)


async def test_the_phone_says_that_a_text_was_delivered_until_it_is_heard(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone, "TOLD_AGAIN_S", 0.01)
    hearing = Hearing(refusing=2)
    [outcome] = await stack.channel("sms", hearing).send([a_text(LONG)])
    assert isinstance(outcome, Sent)
    assert await hearing.heard.get() == (str(outcome.provider_id).split()[0], FactKind.DELIVERED)


async def test_whoever_does_not_know_the_password_is_not_let_in(stack: Stack) -> None:
    (stack.peers.home / PHONE).write_text("wrong")
    [outcome] = await stack.send("sms", a_text())
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.PROVIDER_CREDENTIALS
    assert not stack.kept(Channel.SMS)


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        bytes.fromhex("00000010 00000004 00000000 00000001"),  # not bound
        bytes.fromhex("ffffffff 00000004 00000000 00000001"),  # 4 GiB
        bytes.fromhex("00000000 00000000 00000000 00000000"),
        bytes.fromhex("00000014 00000009 00000000 00000001 41414141"),  # a text that does not end
        bytes.fromhex("00000010 00000099 00000000 00000001"),
    ],
)
async def test_what_is_not_smpp_harms_nobody(stack: Stack, octets: bytes) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, stack.peers.sms)
    writer.write(octets)
    writer.write_eof()
    await reader.read()
    writer.close()
    [outcome] = await stack.send("sms", a_text())
    assert isinstance(outcome, Sent)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_segments_may_come_in_any_order_and_more_than_once(tmp_path: Path, data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.lists(st.text(max_size=5), min_size=1, max_size=4), min_size=1, max_size=4))
    segments = [
        Segment(
            source="Shop",
            destination="+44",
            text=part,
            alphabet=Alphabet.GSM7,
            reference=at,
            number=number,
            of=len(parts),
        )
        for at, parts in enumerate(texts)
        for number, part in enumerate(parts, 1)
    ]
    repeated = data.draw(st.lists(st.sampled_from(segments), max_size=3))
    mailbox = Mailbox(tmp_path)
    handset = Handset(Arrivals(mailbox))
    for segment in data.draw(st.permutations([*segments, *(each for each in repeated if each.of > 1)])):
        handset.take(segment)
    kept = [json.loads(path.read_bytes())["parts"] for path in mailbox.files(Channel.SMS)]
    for path in mailbox.files(Channel.SMS):
        path.unlink()
    assert {tuple(parts) for parts in kept} == {tuple(parts) for parts in texts}


async def test_a_notification_is_kept_as_the_device_gets_it(stack: Stack) -> None:
    [outcome] = await stack.send("push", notification(7, "dQw4:APA91b", **EVERYTHING))
    assert isinstance(outcome, Sent)
    [record] = stack.kept(Channel.PUSH)
    assert record["device"] == "dQw4:APA91b"
    assert record["name"] == outcome.provider_id
    assert record["message"]["notification"]["body"] == "Größe M • 2 Stück 🎁"
    assert stack.mailbox.message_ids(Channel.PUSH) == {"00j4k-7": 1}


async def test_a_device_that_the_app_was_removed_from_is_gone(stack: Stack) -> None:
    [outcome] = await stack.send("push", notification(0, "gone:APA91b"))
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason is Reason.DEVICE_GONE


async def test_only_the_service_account_may_notify(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    account = Stack(tmp_path / "other").peers.home / "service-account.json"  # with another key
    told = json.loads(account.read_text("utf-8")) | {"token_uri": f"http://{LOOPBACK}:{stack.peers.push}/token"}
    (stack.peers.home / "service-account.json").write_text(json.dumps(told))
    [outcome] = await stack.send("push", notification(0, "dQw4:APA91b"))
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.PROVIDER_CREDENTIALS
    async with aiohttp.ClientSession() as session:
        send = f"http://{LOOPBACK}:{stack.peers.push}/v1/projects/clarion-local/messages:send"
        async with session.post(send, json={"message": {}}, headers={"Authorization": "Bearer x"}) as answer:
            assert answer.status == 401


async def test_a_call_arrives_by_its_address_and_is_signed(stack: Stack) -> None:
    urls = ["https://hooks.partner.example/a/b?c=%20d", "https://events.reseller.example/", "https://8.8.8.8/x"]
    outcomes = await stack.send("webhook", *(call(at, url, "Größe 🎁") for at, url in enumerate(urls)))
    assert all(isinstance(outcome, Sent) for outcome in outcomes), outcomes
    kept = stack.kept(Channel.WEBHOOK)
    assert {record["url"] for record in kept} == set(urls)
    for record in kept:
        assert record["signature"] == VALID
        headers = {name.lower(): value for name, value in record["headers"]}
        Webhook((stack.peers.home / HOOKS).read_text()).verify(record["body"], headers)
    assert stack.mailbox.message_ids(Channel.WEBHOOK) == {f"00j4k-{at}": 1 for at in range(3)}


async def test_a_call_signed_with_another_secret_is_shown_as_such_and_not_taken(stack: Stack) -> None:
    (stack.peers.home / HOOKS).write_text(SECRET)
    [outcome] = await stack.send("webhook", call(0, "https://hooks.partner.example/a"))
    assert not isinstance(outcome, Sent)
    [record] = stack.kept(Channel.WEBHOOK)
    assert record["signature"] == WRONG


async def test_an_endpoint_that_wants_no_more_says_so(stack: Stack) -> None:
    [outcome] = await stack.send("webhook", call(0, "https://gone.partner.example/a"))
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason is Reason.ENDPOINT_GONE


async def test_nobody_else_trusts_the_stacks_authority(stack: Stack) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get("https://hooks.partner.example/", proxy=f"http://{LOOPBACK}:{stack.peers.webhook}")


@pytest.mark.parametrize(
    "asked", [b"GET http://example.com/ HTTP/1.1\r\n\r\n", b"CONNECT \xff:1 HTTP/1.1\r\n\r\n", b"\0" * 40_000]
)
async def test_the_proxy_leads_nowhere_else(stack: Stack, asked: bytes) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, stack.peers.webhook)
    writer.write(asked)
    writer.write_eof()
    with contextlib.suppress(ConnectionError):
        answer = await reader.read()
        assert not answer or answer.startswith(b"HTTP/1.1 405")
    writer.close()


def signed(**changes: str) -> dict[str, str]:
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1000"}
    key = Webhook(SECRET)
    headers["webhook-signature"] = key.sign("msg_1", datetime.fromtimestamp(1000, UTC), '{"a":1}')
    return headers | changes


@pytest.mark.parametrize(
    ("change", "now_s", "words"),
    [
        ({}, 1_000, VALID),
        ({"webhook-signature": "v1,bm9uZQ== " + signed()["webhook-signature"]}, 1_000 + TOLERANCE_S, VALID),
        ({}, 1_001 + TOLERANCE_S, STALE),
        ({}, 999 - TOLERANCE_S, STALE),
        ({"webhook-id": "msg_2"}, 1_000, WRONG),
        ({"webhook-timestamp": "1001"}, 1_000, WRONG),
        ({"webhook-timestamp": "soon"}, 1_000, WRONG),
        ({"webhook-signature": signed()["webhook-signature"].replace("v1,", "v2,")}, 1_000, WRONG),
        ({"webhook-signature": "v1,ü"}, 1_000, WRONG),
        ({"webhook-signature": ""}, 1_000, MISSING),
    ],
)
def test_a_signature_is_judged_by_the_specification(change: dict[str, str], now_s: float, words: str) -> None:
    assert verdict(signed(**change), b'{"a":1}', signing_key(SECRET), now_s) == words


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.PUSH, Channel.WEBHOOK])
async def test_what_cannot_be_kept_is_not_taken(stack: Stack, channel: Channel) -> None:
    messages: dict[Channel, Callable[[], Any]] = {
        Channel.SMS: a_text,
        Channel.PUSH: lambda: notification(0, "dQw4:APA91b"),
        Channel.WEBHOOK: lambda: call(0, "https://hooks.partner.example/a"),
    }
    stack.mailbox.directory.rename(stack.peers.home / "away")
    [outcome] = await stack.send(channel.value, messages[channel]())
    (stack.peers.home / "away").rename(stack.mailbox.directory)
    assert isinstance(outcome, TransientFailure | Ambiguous)
    assert not list(stack.mailbox.directory.glob(f"*{SUFFIXES[channel]}"))


def test_hosts_are_played_with_certificates_that_the_authority_signed(tmp_path: Path) -> None:
    make_authority(tmp_path / "authority.pem", tmp_path / "authority.key")
    authority = read_authority(tmp_path / "authority.pem", tmp_path / "authority.key")
    trusting = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
    for host in ("hooks.partner.example", "8.8.8.8", "xn--bcher-kva.example", "a" * 60 + "." + "b" * 60 + ".example"):
        assert handshake(authority.context_for(host), trusting, host)
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(authority.context_for(host), trusting, "other.example")


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> bool:
    """TLS in memory, as `host` from the client's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    ours = client.wrap_bio(to_client, to_server, server_hostname=host)
    done = [False, False]
    while not all(done):
        for at, side in enumerate((ours, theirs)):
            try:
                side.do_handshake()
                done[at] = True
            except ssl.SSLWantReadError:
                continue
    return True
