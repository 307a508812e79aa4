"""What Twilio is asked, and what its answers mean beyond what every channel promises."""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import trustme
from msgspec.structs import replace
from requests import PreparedRequest, Response
from twilio.rest import Client

from clarion_core.configuration.file import read
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import AddressFact, Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels.answers import refused
from clarion_workers.channels.http import Answer, Request
from clarion_workers.channels.kind import Opening
from clarion_workers.channels.registry import PROVIDERS
from clarion_workers.channels.sms.twilio import FACTS, TwilioChannel
from support.peers import twilio as peers
from support.peers.over_http import serving
from support.peers.twilio import ACCOUNT, KEY, SECRET, SERVICE, TwilioPeer, error, part


@pytest.fixture
async def peer(server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[TwilioPeer]:
    async with serving(TwilioPeer(ca), server_tls) as made:
        yield made
        await made.close()


class Kept(Client):
    """Twilio's client, which keeps what it would have sent."""

    def __init__(self) -> None:
        super().__init__(ACCOUNT, SECRET)
        self.kept: list[tuple[str, str, dict[str, str], str, dict[str, str]]] = []
        self.http_client.session.send = self.send

    def send(self, request: PreparedRequest, **_: object) -> Response:
        assert request.body
        self.kept.append(
            (
                str(request.method),
                str(request.url),
                dict(parse_qsl(str(request.body), strict_parsing=True)),
                request.headers["Authorization"],
                dict(request.headers),
            )
        )
        response = Response()
        response.status_code, response._content = 201, b"{}"
        return response


def answered(status: int, body: bytes = b"", **headers: str) -> Outcome:
    channel = TwilioChannel(part("http://127.0.0.1"), SECRET)
    message = TwilioPeer.message(None, "takes", 1)  # type: ignore[arg-type]
    return channel.outcome(message, Answer(status=status, headers=headers, body=body))


def coded(status: int, code: int, **headers: str) -> Outcome:
    body = error(status, code, "In words.").body
    assert isinstance(body, bytes)
    return answered(status, body, **headers)


async def asked(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(), strict_parsing=True))


async def test_an_api_key_and_a_messaging_service_are_taken(peer: TwilioPeer) -> None:
    channel = peer.channel(api_key=KEY, messaging_service_sid=SERVICE)
    [outcome] = await channel.send([peer.message("takes", 1)])
    assert isinstance(outcome, Sent)
    assert outcome.detail == "201 queued"
    assert await asked(await channel.request(peer.message("takes", 1))) == {
        "To": "+4915123000001",
        "Body": "Thank you.\n",
        "MessagingServiceSid": SERVICE,
        "StatusCallback": f"{peers.CALLBACK}?delivery=00j4k-1",
    }


async def test_where_only_the_service_calls_back_the_message_is_found_by_its_sid(peer: TwilioPeer) -> None:
    channel = peer.channel(messaging_service_sid=SERVICE, status_callback=None)
    [outcome] = await channel.send([peer.message("takes", 1)])
    assert outcome == Sent(detail="201 queued", provider_id="SM" + "0" * 32, receipts_by_id=True)


async def test_it_is_opened_as_a_file_describes_it(peer: TwilioPeer, ca_file: Path) -> None:
    file = ca_file.with_name("channels.yaml")
    described = (
        f"url: 'https://127.0.0.1:{peer.port}', ca_file: ca.pem, account_sid: {ACCOUNT}, secret: {{env: TWILIO}}"
    )
    file.write_text(f"sms: {{sender: Shop, providers: [{{name: one, twilio: {{{described}}}}}]}}")
    configured = read(file, {"TWILIO": SECRET}).sms
    assert configured
    [provider] = configured.providers
    opening = Opening(environment={"TWILIO": SECRET}, message_id_domain="mail.example.com", channel=configured)
    channel = PROVIDERS[provider.kind].open(provider.settings, opening)
    assert [type(outcome) for outcome in await channel.send([replace(peer.message("takes", 1), sender="")])] == [Sent]
    await channel.close()


async def test_the_request_is_what_twilios_own_client_makes(peer: TwilioPeer) -> None:
    client, message = Kept(), replace(peer.message("takes", 1, "Größe • 🎁 & more=+1\n"), deadline_s=math.inf)
    client.messages.create(
        to=message.to_number,
        from_=message.sender,
        body=message.text,
        status_callback=f"{peers.CALLBACK}?delivery=00j4k-1",
    )
    ours = await TwilioChannel(part("https://api.twilio.com"), SECRET).request(message)
    [theirs] = client.kept
    assert (ours.method, ours.url) == theirs[:2]
    assert await asked(ours) == theirs[2]
    assert ours.headers["Authorization"] == theirs[3]
    assert ours.headers["Content-Type"] == theirs[4]["Content-Type"]


async def test_a_text_that_is_too_long_is_the_messages_fault(peer: TwilioPeer) -> None:
    [outcome] = await peer.channel().send([peer.message("takes", 1, "a" * 1601)])
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason is Reason.MESSAGE_REFUSED
    assert outcome.detail == "400 21617 The concatenated message body exceeds the 1600 character limit"


@pytest.mark.parametrize(("left_s", "validity"), [(0.2, "1"), (59.9, "59"), (86_400, "36000")])
async def test_a_message_is_kept_no_longer_than_it_is_worth(peer: TwilioPeer, left_s: float, validity: str) -> None:
    message = replace(peer.message("takes", 1), deadline_s=time.monotonic() + left_s)
    assert (await asked(await peer.channel().request(message)))["ValidityPeriod"] == validity


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (400, 21211, Reason.RECIPIENT_REFUSED),
        (400, 21214, Reason.RECIPIENT_REFUSED),
        (400, 21614, Reason.RECIPIENT_REFUSED),
        (400, 21610, Reason.RECIPIENT_REFUSED),
        (403, 21408, Reason.PROVIDER_UNSUPPORTED),
        (400, 21612, Reason.PROVIDER_UNSUPPORTED),
        (400, 21606, Reason.PROVIDER_UNSUPPORTED),
        (400, 21617, Reason.MESSAGE_REFUSED),
        (400, 29999, Reason.MESSAGE_REFUSED),
    ],
)
def test_a_refusal_for_good_is_told_by_its_code(status: int, code: int, reason: Reason) -> None:
    outcome = coded(status, code)
    fact = FACTS.get(code)
    assert outcome == PermanentFailure(reason=reason, detail=f"{status} {code} In words.", address_fact=fact)
    assert (fact is AddressFact.UNSUBSCRIBED) == (code == 21610)
    assert fact is None or reason is Reason.RECIPIENT_REFUSED


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (401, 20003, Reason.PROVIDER_CREDENTIALS),
        (404, 20404, Reason.PROVIDER_CREDENTIALS),
        (400, 21703, Reason.PROVIDER_CREDENTIALS),
        (403, 20006, Reason.PROVIDER_CREDENTIALS),
        (429, 20429, Reason.PROVIDER_DEFERRED),
        (400, 21611, Reason.PROVIDER_DEFERRED),
        (503, 20503, Reason.PROVIDER_DEFERRED),
    ],
)
def test_a_refusal_for_now_is_told_by_its_code(status: int, code: int, reason: Reason) -> None:
    outcome = coded(status, code, **{"Retry-After": "3"})
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is reason


@pytest.mark.parametrize("status", [500, 502, 504])
@pytest.mark.parametrize(
    "body", [b"", b'{"code": 20500, "message": "Internal"}', b'{"code": 21211}', b"<html>", b"[1]"]
)
def test_something_that_broke_at_the_provider_is_ambiguous(status: int, body: bytes) -> None:
    assert isinstance(answered(status, body), Ambiguous)


@pytest.mark.parametrize("body", [b"", b"ok", b"[]", b'{"sid": null}', b'{"sid": {"a": 1', b"\xff\xfe"])
def test_an_acceptance_counts_whatever_else_it_says(body: bytes) -> None:
    assert answered(201, body) == Sent(detail="201")


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (302, TransientFailure, Reason.PROVIDER_UNREACHABLE),
        (400, PermanentFailure, Reason.MESSAGE_REFUSED),
        (401, TransientFailure, Reason.PROVIDER_CREDENTIALS),
        (402, TransientFailure, Reason.PROVIDER_CREDENTIALS),
        (403, TransientFailure, Reason.PROVIDER_CREDENTIALS),
        (404, TransientFailure, Reason.PROVIDER_UNREACHABLE),
        (405, TransientFailure, Reason.PROVIDER_UNREACHABLE),
        (408, TransientFailure, Reason.PROVIDER_DEFERRED),
        (413, PermanentFailure, Reason.MESSAGE_REFUSED),
        (422, PermanentFailure, Reason.MESSAGE_REFUSED),
        (429, TransientFailure, Reason.PROVIDER_DEFERRED),
        (501, TransientFailure, Reason.PROVIDER_UNREACHABLE),
        (503, TransientFailure, Reason.PROVIDER_DEFERRED),
    ],
)
def test_a_status_says_something_by_itself(status: int, kind: type[Outcome], reason: Reason) -> None:
    outcome = refused(Answer(status=status, headers={}, body=b""), "why")
    assert isinstance(outcome, kind)
    assert not isinstance(outcome, Sent | Ambiguous)
    assert (outcome.reason, outcome.detail) == (reason, "why")


@pytest.mark.parametrize(("state", "ok"), [("active", True), ("suspended", False), ("closed", False)])
async def test_a_look_tells_whether_the_account_may_send(peer: TwilioPeer, state: str, ok: bool) -> None:
    peer.account = state
    found = await peer.channel().check()
    assert (found.ok, found.detail) == (ok, f"our credentials are taken; the account is {state}")
