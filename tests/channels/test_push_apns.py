"""Apple Push Notification service: headers, provider tokens, and what its answers mean."""

from __future__ import annotations

import ssl
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
import trustme

from clarion_core.configuration.apns import ApnsPart
from clarion_core.configuration.channels import PushProvider
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import PermanentFailure, Sent, TransientFailure
from clarion_workers.channels.kind import Opening
from clarion_workers.channels.push.apns import DELIVERIES
from clarion_workers.channels.registry import PROVIDERS
from support.peers.apns import ApnsPeer, peer, provider_token
from support.push.apns_rules import KEY_ID, TEAM, TOPIC
from support.push.apns_server import TAKES, Notified, device
from support.push.notifications import EVERYTHING, notification, p256_private_key, pem


@pytest.fixture
async def apple(server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[ApnsPeer]:
    async with peer(server_tls, ca) as made:
        yield made
        await made.close()


async def taken(apple: ApnsPeer, **changes: Any) -> Notified:
    [outcome] = await apple.channel().send([notification(1, device(TAKES), **changes)])
    assert isinstance(outcome, Sent), outcome
    return apple.server.notified[-1]


async def test_a_notification_that_says_everything_is_taken(apple: ApnsPeer) -> None:
    before_s = int(time.time())
    headers = (await taken(apple, **EVERYTHING)).headers
    assert before_s + 3_590 <= int(headers["apns-expiration"]) <= before_s + 3_700
    given = {name: value for name, value in headers.items() if name.startswith("apns-") and name != "apns-expiration"}
    assert given == {
        "apns-id": str(uuid.uuid5(DELIVERIES, "00j4k-1")),
        "apns-push-type": "alert",
        "apns-priority": "10",
        "apns-topic": TOPIC,
        "apns-collapse-id": "order-7",
    }


async def test_a_silent_notification_is_a_background_push(apple: ApnsPeer) -> None:
    got = await taken(apple, **EVERYTHING, silent=True)
    assert got.headers["apns-push-type"] == "background"
    assert got.headers["apns-priority"] == "5"
    assert "apns-collapse-id" not in got.headers
    assert got.payload["order"] == "7"


async def test_a_normal_priority_spares_the_battery(apple: ApnsPeer) -> None:
    assert (await taken(apple, priority="normal")).headers["apns-priority"] == "5"


async def test_what_is_for_now_or_never_is_not_kept(apple: ApnsPeer) -> None:
    assert (await taken(apple, ttl_s=0)).headers["apns-expiration"] == "0"


async def test_how_long_it_is_kept_is_apples_matter_unless_told(apple: ApnsPeer) -> None:
    assert "apns-expiration" not in (await taken(apple)).headers


@pytest.mark.parametrize("collapse_id", ["zwölf", " x", "a\nb"])
async def test_a_collapse_id_that_can_t_be_a_header_is_its_digest(apple: ApnsPeer, collapse_id: str) -> None:
    first = (await taken(apple, collapse_id=collapse_id)).headers["apns-collapse-id"]
    assert len(first) == 64
    assert (await taken(apple, collapse_id=collapse_id)).headers["apns-collapse-id"] == first


@pytest.mark.parametrize("token", ["", "0f0f", "../3/device", "g" * 64, "0" * 63 + "\n"])
async def test_a_token_that_can_t_be_one_is_not_asked_for(apple: ApnsPeer, token: str) -> None:
    [outcome] = await apple.channel().send([notification(1, token)])
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason is Reason.RECIPIENT_REFUSED
    assert apple.server.opened == 0


GONE_MS, GONE = 1_795_507_200_000, "2026-11-24T08:00:00Z"


@pytest.mark.parametrize(
    ("status", "told", "reason", "detail"),
    [
        (410, {"reason": "Unregistered", "timestamp": GONE_MS}, "DEVICE_GONE", f"410 Unregistered since {GONE}"),
        (410, {"reason": "ExpiredToken", "timestamp": 10**30}, "DEVICE_GONE", "410 ExpiredToken"),
        (410, {"reason": "Unregistered", "timestamp": 10**15}, "DEVICE_GONE", "410 Unregistered"),
        (410, {}, "DEVICE_GONE", "410"),
        (400, {"reason": "BadDeviceToken"}, "RECIPIENT_REFUSED", "400 BadDeviceToken"),
        (400, {"reason": "DeviceTokenNotForTopic"}, "RECIPIENT_REFUSED", "400 DeviceTokenNotForTopic"),
        (413, {"reason": "PayloadTooLarge"}, "MESSAGE_REFUSED", "413 PayloadTooLarge"),
        (400, {"reason": "BadCollapseId"}, "MESSAGE_REFUSED", "400 BadCollapseId"),
        (405, {"reason": "MethodNotAllowed"}, "MESSAGE_REFUSED", "405 MethodNotAllowed"),
        (400, {}, "MESSAGE_REFUSED", "400"),
    ],
)  # fmt: skip
async def test_what_never_arrives_is_said_to_be_so(
    apple: ApnsPeer, status: int, told: dict[str, Any], reason: str, detail: str
) -> None:
    apple.server.answers[device(TAKES)] = (status, told)
    [outcome] = await apple.channel().send([notification(1, device(TAKES))])
    assert outcome == PermanentFailure(reason=Reason(reason), detail=detail)


@pytest.mark.parametrize(
    ("status", "word", "reason", "wait_s"),
    [
        (403, "InvalidProviderToken", "PROVIDER_CREDENTIALS", None),
        (403, "Forbidden", "PROVIDER_CREDENTIALS", None),
        (403, "", "PROVIDER_CREDENTIALS", None),
        (400, "TopicDisallowed", "PROVIDER_CREDENTIALS", None),
        (400, "IdleTimeout", "PROVIDER_DEFERRED", None),
        (429, "TooManyRequests", "RECIPIENT_DEFERRED", None),
        (429, "TooManyProviderTokenUpdates", "PROVIDER_DEFERRED", None),
        (429, "", "PROVIDER_DEFERRED", None),
        (500, "InternalServerError", "PROVIDER_DEFERRED", 900),
        (503, "ServiceUnavailable", "PROVIDER_DEFERRED", 900),
        (503, "Shutdown", "PROVIDER_DEFERRED", None),
        (502, "", "PROVIDER_DEFERRED", 900),
    ],
)
async def test_what_may_arrive_later_says_when(
    apple: ApnsPeer, status: int, word: str, reason: str, wait_s: float | None
) -> None:
    apple.server.answers[device(TAKES)] = (status, {"reason": word} if word else {})
    [outcome] = await apple.channel().send([notification(1, device(TAKES))])
    assert outcome == TransientFailure(reason=Reason(reason), detail=f"{status} {word}".strip(), retry_after_s=wait_s)


async def test_one_provider_token_serves_all_messages(apple: ApnsPeer) -> None:
    channel = apple.channel()
    for _ in range(2):
        await channel.send([notification(n, device(TAKES, n)) for n in range(50)])
    assert len(apple.server.tokens) == 1


def claims_at(monkeypatch: pytest.MonkeyPatch, now_s: float) -> dict[str, Any]:
    monkeypatch.setattr("clarion_workers.channels.push.provider_token.time.time", lambda: now_s)
    token = provider_token().get()
    assert jwt.get_unverified_header(token)["kid"] == KEY_ID
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


@pytest.mark.parametrize("age_s", [0, 1, 1_199, 2_399])
def test_all_workers_date_their_tokens_alike(monkeypatch: pytest.MonkeyPatch, age_s: int) -> None:
    step = 748_128 * 2_400
    assert claims_at(monkeypatch, step + age_s) == {"iss": TEAM, "iat": step}


def test_a_token_is_used_for_forty_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    step, at, token = 748_128 * 2_400, [0.0], provider_token()
    monkeypatch.setattr("clarion_workers.channels.push.provider_token.time.time", lambda: at[0])
    seen = []
    for minute in range(0, 120, 5):
        at[0] = step + minute * 60
        seen.append(token.get())
    assert [seen.index(each) * 5 for each in dict.fromkeys(seen)] == [0, 40, 80]
    at[0] = step - 3_600.0  # the clock was put back
    assert jwt.decode(token.get(), options={"verify_signature": False})["iat"] <= at[0]


async def test_a_token_that_apple_holds_for_too_old_is_replaced_at_once(
    apple: ApnsPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = int(time.time()) // 2_400 * 2_400
    now_s = step + 1_500.0  # our token is 25 minutes old, and Apple's clock is 45 minutes before ours
    monkeypatch.setattr("clarion_workers.channels.push.provider_token.time.time", lambda: now_s)
    apple.server.skew_s = now_s - time.time() + 2_700
    outcomes = await apple.channel(connections=1).send([notification(n, device(TAKES, n)) for n in range(3)])
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert apple.server.refused == ["ExpiredProviderToken"]
    assert len(apple.server.tokens) == 2


async def test_a_token_is_not_replaced_within_twenty_minutes(apple: ApnsPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = int(time.time()) // 2_400 * 2_400 + 60.0
    monkeypatch.setattr("clarion_workers.channels.push.provider_token.time.time", lambda: now_s)
    apple.server.skew_s = 7_200
    outcomes = await apple.channel().send([notification(n, device(TAKES, n)) for n in range(3)])
    assert {getattr(outcome, "reason", None) for outcome in outcomes} == {Reason.PROVIDER_CREDENTIALS}
    assert len(apple.server.tokens) == 1


async def test_an_app_of_another_name_is_no_recipients_fault(apple: ApnsPeer) -> None:
    [outcome] = await apple.channel(topic="example.other").send([notification(1, device(TAKES))])
    assert isinstance(outcome, TransientFailure)
    assert (outcome.reason, outcome.detail) == (Reason.PROVIDER_CREDENTIALS, "400 TopicDisallowed")


@pytest.mark.parametrize(
    ("environment", "server"),
    [("production", "https://api.push.apple.com"), ("development", "https://api.sandbox.push.apple.com")],
)
def test_an_environment_is_a_server(environment: str, server: str) -> None:
    part = ApnsPart.model_validate(
        {"key": {"env": "K"}, "key_id": KEY_ID, "team_id": TEAM, "topic": TOPIC, "environment": environment}
    )
    assert part.server == server


async def test_a_configuration_opens_a_channel(apple: ApnsPeer, ca: trustme.CA, tmp_path: Any) -> None:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    part = PushProvider.model_validate(
        {
            "name": "apple",
            "apns": {
                "key": {"env": "KEY"},
                "key_id": KEY_ID,
                "team_id": TEAM,
                "topic": TOPIC,
                "url": apple.server.url,
                "ca_file": str(tmp_path / "ca.pem"),
            },
        }
    )
    opening = Opening(environment={"KEY": pem(p256_private_key("apns"))}, message_id_domain="shop.example")
    channel = PROVIDERS["apns"].open(part.settings, opening)
    assert isinstance((await channel.send([notification(1, device(TAKES))]))[0], Sent)
    await channel.close()
