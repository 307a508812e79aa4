"""Web Push: encryption, identification, what push services answer, and endpoints that nobody should call."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import http_ece
import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion_core.configuration.channels import PushProvider
from clarion_core.configuration.webpush import SERVICES, WebPushPart
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels.kind import Opening
from clarion_workers.channels.push.encryption import Keys, encrypted
from clarion_workers.channels.push.vapid import Vapid
from clarion_workers.channels.registry import PROVIDERS
from support.peers.webpush import WebPushPeer, peer
from support.push.notifications import EVERYTHING, notification, p256_private_key, pem
from support.push.push_service import AUTH, b64, point


@pytest.fixture
async def browsers(server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[WebPushPeer]:
    async with peer(server_tls, ca) as made:
        yield made
        await made.close()


def octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(octets(text)), ec.SECP256R1())


def test_the_example_of_rfc_8291_comes_out() -> None:
    # Appendix A
    keys = Keys.of(
        octets("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
        octets("BTBZMqHH6r4Tts7J_aSIgg"),
    )
    body = encrypted(
        b"When I grow up, I want to be a watermelon",
        keys,
        own=private("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
        salt=octets("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert b64(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz"
        "AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


@settings(deadline=None)
@given(st.binary(max_size=3_993))
def test_what_is_encrypted_is_decrypted_by_others(content: bytes) -> None:
    browser = p256_private_key("browser")
    body = encrypted(content, Keys.of(point(browser), AUTH))
    assert len(body) == len(content) + 103
    assert http_ece.decrypt(body, private_key=browser, auth_secret=AUTH, version="aes128gcm") == content


def test_no_two_messages_share_a_key() -> None:
    keys = Keys.of(point(p256_private_key("browser")), AUTH)
    heads = {encrypted(b"x", keys)[:86] for _ in range(20)}
    assert len({head[:16] for head in heads}) == len({head[21:] for head in heads}) == 20


async def sent(browsers: WebPushPeer, name: str = "browser", **changes: Any) -> Outcome:
    token = browsers.service.subscription(name)
    [outcome] = await browsers.channel().send([notification(1, token, **changes)])
    return outcome


async def test_a_notification_that_says_everything_is_taken(browsers: WebPushPeer) -> None:
    assert isinstance(await sent(browsers, **EVERYTHING), Sent)
    [pushed] = browsers.service.pushed
    assert (pushed.headers["Urgency"], pushed.headers["Topic"]) == ("high", "order-7")
    assert pushed.headers["TTL"] == "3600"
    assert pushed.payload["notification"]["title"] == EVERYTHING["title"]


async def test_a_service_keeps_it_for_four_weeks_unless_told(browsers: WebPushPeer) -> None:
    await sent(browsers)
    await sent(browsers, ttl_s=10_000_000)
    await sent(browsers, ttl_s=0)
    assert browsers.lifetimes_s() == [2_419_200, 2_419_200, 0]


@pytest.mark.parametrize("collapse_id", ["x" * 33, "order 7", "zwölf"])
async def test_a_collapse_id_that_can_t_be_a_topic_is_its_digest(browsers: WebPushPeer, collapse_id: str) -> None:
    for _ in range(2):
        assert isinstance(await sent(browsers, collapse_id=collapse_id), Sent)
    first, second = browsers.keys()
    assert first == second
    assert len(first) == 32


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, Reason.DEVICE_GONE),
        (410, Reason.DEVICE_GONE),
        (413, Reason.MESSAGE_REFUSED),
        (400, Reason.MESSAGE_REFUSED),
    ],
)
async def test_what_never_arrives_is_said_to_be_so(browsers: WebPushPeer, status: int, reason: Reason) -> None:
    browsers.service.statuses["odd"] = (status, {})
    assert await sent(browsers, "odd") == PermanentFailure(reason=reason, detail=str(status))


@pytest.mark.parametrize(
    ("status", "headers", "reason", "wait_s"),
    [
        (429, {"Retry-After": "30"}, Reason.PROVIDER_DEFERRED, 30),
        (429, {}, Reason.PROVIDER_DEFERRED, None),
        (500, {}, Reason.PROVIDER_DEFERRED, None),
        (503, {"Retry-After": "5"}, Reason.PROVIDER_DEFERRED, 5),
        (307, {"Location": "https://127.0.0.1/"}, Reason.PROVIDER_DEFERRED, None),
        (401, {}, Reason.PROVIDER_CREDENTIALS, None),
        (403, {}, Reason.PROVIDER_CREDENTIALS, None),
    ],
)
async def test_what_may_arrive_later_says_when(
    browsers: WebPushPeer, status: int, headers: dict[str, str], reason: Reason, wait_s: float | None
) -> None:
    browsers.service.statuses["odd"] = (status, headers)
    expected = TransientFailure(reason=reason, detail=str(status), retry_after_s=wait_s)
    assert await sent(browsers, "odd") == expected


@pytest.mark.parametrize("status", [502, 504])
async def test_a_gateway_that_gave_up_leaves_it_open(browsers: WebPushPeer, status: int) -> None:
    browsers.service.statuses["odd"] = (status, {})
    assert isinstance(await sent(browsers, "odd"), Ambiguous)


def test_one_token_serves_a_push_service_for_six_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    vapid, at = Vapid(pem(p256_private_key("vapid")), subject="mailto:ops@shop.example"), [time.time()]
    monkeypatch.setattr("clarion_workers.channels.push.vapid.time.time", lambda: at[0])
    first = vapid.authorization("https://push.example")
    at[0] += 21_599
    assert vapid.authorization("https://push.example") == first
    at[0] += 2
    second = vapid.authorization("https://push.example")
    assert second != first
    claims = jwt.decode(second.split("t=")[1].split(",")[0], options={"verify_signature": False})
    assert claims == {"aud": "https://push.example", "exp": int(at[0]) + 43_200, "sub": "mailto:ops@shop.example"}


def test_many_push_services_cost_no_more_memory() -> None:
    vapid = Vapid(pem(p256_private_key("vapid")), subject="mailto:ops@shop.example")
    for number in range(1_010):
        vapid.authorization(f"https://push{number}.example")
    assert len(vapid._made) == 1_000


def test_a_key_may_be_the_bare_number_that_tools_print() -> None:
    key = p256_private_key("vapid")
    scalar = b64(key.private_numbers().private_value.to_bytes(32))
    assert Vapid(scalar, subject="mailto:a@b.example").public_key == b64(point(key))


def subscription(endpoint: str) -> str:
    keys = {"p256dh": b64(point(p256_private_key("browser"))), "auth": b64(AUTH)}
    return json.dumps({"endpoint": endpoint, "keys": keys})


@pytest.mark.parametrize("services", [SERVICES, ("*",)], ids=["the browsers' services", "any public host"])
@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "http://fcm.googleapis.com/fcm/send/x",
        "ftp://fcm.googleapis.com/x",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://0x7f.1/x",
        "https://2130706433/x",
        "https://10.0.0.1/x",
        "https://redis/x",
        "https://redis.internal/x",
        "https://fcm.googleapis.com@127.0.0.1/x",
        "https://fcm.googleapis.com\\@127.0.0.1/x",
        "https://127.0.0.1\\@fcm.googleapis.com/x",
        "https://127.0.0.1#@fcm.googleapis.com/x",
        "https://fcm.googleapis.com:6379/x",
        "https://fcm.googleapis.com/x y",
        "https://fcm.googleapis.com/x\r\nHost: redis",
        "https://fcm.googleapis.com/../x",
        "https://fcm.googleapis.com/" + "x" * 3_000,
    ],
)
async def test_an_endpoint_that_nobody_should_call_is_never_called(
    browsers: WebPushPeer, services: tuple[str, ...], endpoint: str
) -> None:
    [outcome] = await browsers.channel(services=services).send([notification(1, subscription(endpoint))])
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason is Reason.RECIPIENT_REFUSED
    assert not endpoint or endpoint not in outcome.detail


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://push.example/x",
        "https://fcm.googleapis.com.example/x",
        "https://xfcm.googleapis.com/x",
        "https://push.apple.com/x",
        "https://xpush.apple.com/x",
        "https://web.push.apple.com.example/x",
    ],
)
async def test_a_host_that_is_no_push_service_is_never_called(browsers: WebPushPeer, endpoint: str) -> None:
    [outcome] = await browsers.channel(services=SERVICES).send([notification(1, subscription(endpoint))])
    assert isinstance(outcome, PermanentFailure)
    assert "of no push service" in outcome.detail


@pytest.mark.parametrize(
    "token",
    [
        "",
        "null",
        "[]",
        '{"endpoint": "https://fcm.googleapis.com/x"}',
        '{"endpoint": "https://fcm.googleapis.com/x", "keys": {"p256dh": "AAAA", "auth": "AAAA"}}',
        json.dumps(
            {"endpoint": "https://fcm.googleapis.com/x", "keys": {"p256dh": b64(b"\4" * 65), "auth": b64(AUTH)}}
        ),
        subscription("https://fcm.googleapis.com/x").replace(b64(AUTH), "?"),
        "\ud800",
    ],
)
async def test_what_is_no_subscription_is_the_recipients_fault(browsers: WebPushPeer, token: str) -> None:
    [outcome] = await browsers.channel(services=SERVICES).send([notification(1, token)])
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason is Reason.RECIPIENT_REFUSED


@pytest.mark.parametrize(
    "service", ["FCM.googleapis.com", "https://push.example", "push.example/x", "a b", "*.", "**", ""]
)
def test_what_is_no_host_is_refused_in_a_configuration(service: str) -> None:
    with pytest.raises(ValueError, match="services"):
        WebPushPart.model_validate({"key": {"env": "K"}, "subject": "mailto:a@b.example", "services": [service]})


async def test_a_configuration_opens_a_channel(browsers: WebPushPeer, ca: trustme.CA, tmp_path: Any) -> None:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    part = PushProvider.model_validate(
        {
            "name": "browsers",
            "webpush": {
                "key": {"env": "KEY"},
                "subject": "https://shop.example/contact",
                "services": [f"127.0.0.1:{browsers.service.port}", *SERVICES],
                "ca_file": str(tmp_path / "ca.pem"),
            },
        }
    )
    opening = Opening(environment={"KEY": pem(p256_private_key("vapid"))}, message_id_domain="shop.example")
    channel = PROVIDERS["webpush"].open(part.settings, opening)
    outcomes = await channel.send([notification(1, browsers.service.subscription())])
    assert isinstance(outcomes[0], Sent)
    await channel.close()
