"""Firebase Cloud Messaging: what its answers mean, and the access tokens."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion_core.configuration.channels import PushProvider
from clarion_core.domain.delivery import Reason
from clarion_core.domain.medium import Medium
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_core.push import fcm
from clarion_core.push.limits import problems
from clarion_workers.channels import CutOff
from clarion_workers.channels.kind import Opening
from clarion_workers.channels.push import Button
from clarion_workers.channels.registry import PROVIDERS
from support.peers.fcm import FcmPeer, peer
from support.push.fcm_schema import payload_size, violations
from support.push.fcm_server import ACCOUNT
from support.push.notifications import EVERYTHING, notification, pem, rsa_private_key


@pytest.fixture
async def firebase(server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[FcmPeer]:
    async with peer(server_tls, ca) as made:
        yield made
        await made.close()


async def send(firebase: FcmPeer, token: str, **changes: Any) -> Outcome:
    [outcome] = await firebase.channel().send([notification(1, token, **changes)])
    return outcome


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("unregistered", Reason.DEVICE_GONE),
        ("invalid", Reason.RECIPIENT_REFUSED),
        ("nameless", Reason.RECIPIENT_REFUSED),
        ("mismatch", Reason.RECIPIENT_REFUSED),
        ("strange", Reason.MESSAGE_REFUSED),
    ],
)
async def test_what_never_arrives_is_said_to_be_so(firebase: FcmPeer, word: str, reason: Reason) -> None:
    outcome = await send(firebase, f"{word}:x")
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason is reason


@pytest.mark.parametrize(
    ("word", "reason", "wait_s"),
    [
        ("quota", Reason.PROVIDER_DEFERRED, 60),
        ("throttle", Reason.PROVIDER_DEFERRED, 7),
        ("unavailable", Reason.PROVIDER_DEFERRED, None),
        ("internal", Reason.PROVIDER_DEFERRED, None),
        ("third", Reason.PROVIDER_CREDENTIALS, None),
        ("denied", Reason.PROVIDER_CREDENTIALS, None),
    ],
)
async def test_what_may_arrive_later_says_when(
    firebase: FcmPeer, word: str, reason: Reason, wait_s: float | None
) -> None:
    outcome = await send(firebase, f"{word}:x")
    assert isinstance(outcome, TransientFailure)
    assert (outcome.reason, outcome.retry_after_s) == (reason, wait_s)


@pytest.mark.parametrize("token", ["gateway:x", "bad:x"])
async def test_a_gateway_that_gave_up_leaves_it_open(firebase: FcmPeer, token: str) -> None:
    assert isinstance(await send(firebase, token), Ambiguous)


async def test_a_field_that_does_not_fit_is_the_messages_fault(firebase: FcmPeer) -> None:
    outcome = await send(firebase, "device:x", overrides={"android": {"ttl": 5}})
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason is Reason.MESSAGE_REFUSED
    assert firebase.server.refused == ["message.android.ttl"]


async def test_a_message_that_says_everything_is_taken(firebase: FcmPeer) -> None:
    assert isinstance(await send(firebase, "device:x", **EVERYTHING), Sent)
    assert isinstance(await send(firebase, "device:x", **EVERYTHING, silent=True), Sent)
    assert firebase.lifetimes_s() == [3_600, 3_600]


async def test_no_token_is_asked_for_what_can_t_be_sent(firebase: FcmPeer) -> None:
    for refused in ("", "device:x"):
        outcome = await send(firebase, refused, data={"from": "x"} if refused else {})
        assert isinstance(outcome, PermanentFailure)
    assert firebase.server.granted == []


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "title": _texts,
            "body": _texts,
            "link": st.sampled_from(["", "shop://7", "https://shop.example/7"]),
            "image": _texts,
            "buttons": st.lists(st.builds(Button, id=_texts, title=_texts, link=_texts), max_size=3).map(tuple),
            "data": st.dictionaries(_texts, _texts, max_size=3),
            "silent": st.booleans(),
            "badge": st.none() | st.integers(0, 99),
            "sound": _texts,
            "thread_id": _texts,
            "collapse_id": _texts,
            "category": _texts,
            "channel_id": _texts,
            "priority": st.sampled_from(["high", "normal"]),
        }
    ),
    st.none() | st.integers(0, 10_000_000),
)
def test_what_has_no_problem_fits_the_published_fields(fields: dict[str, Any], lifetime_s: int | None) -> None:
    made = notification(**fields)
    message = json.loads(json.dumps(fcm.message(made, token="t", lifetime_s=lifetime_s)))
    if not problems(Medium.FCM, made):
        assert violations({"message": message}) == []
        assert payload_size(message) <= 4_096


async def test_one_token_serves_all_messages_and_is_fetched_once(firebase: FcmPeer) -> None:
    channel = firebase.channel()
    firebase.server.token_released.clear()
    sending = asyncio.ensure_future(channel.send([notification(n, "device:x") for n in range(50)]))
    await firebase.server.token_asked.acquire()
    firebase.server.token_released.set()
    assert all(isinstance(outcome, Sent) for outcome in await sending)
    await channel.send([notification(51, "device:x")])
    assert firebase.server.granted == ["ya29.1"]


async def test_a_token_that_is_about_to_end_is_replaced_while_it_is_used(firebase: FcmPeer) -> None:
    channel, server = firebase.channel(), firebase.server
    [outcome] = await channel.send([notification(1, "device:x")])
    assert isinstance(outcome, Sent)
    channel._access._replace_from = 0.0  # as it is five minutes before its end
    server.token_released.clear()
    await server.token_asked.acquire()
    assert all(isinstance(each, Sent) for each in await channel.send([notification(n, "device:x") for n in range(9)]))
    await server.token_asked.acquire()
    fetching = channel._access._fetching
    assert fetching
    server.token_released.set()
    assert await fetching == "ya29.2"
    [outcome] = await channel.send([notification(3, "device:x")])
    assert isinstance(outcome, Sent)
    assert server.granted == ["ya29.1", "ya29.2"]


async def test_a_token_that_is_over_is_waited_for(firebase: FcmPeer) -> None:
    firebase.server.expires_in = 0
    channel = firebase.channel()
    for number in range(3):
        [outcome] = await channel.send([notification(number, "device:x")])
        assert isinstance(outcome, Sent)
    assert len(firebase.server.granted) == 3


async def test_a_token_that_was_not_taken_is_replaced(firebase: FcmPeer) -> None:
    channel = firebase.channel()
    await channel.send([notification(1, "device:x")])
    firebase.server.granted.append("ya29.somebody-else's")  # the server takes the last one alone
    [outcome] = await channel.send([notification(2, "device:x")])
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.PROVIDER_CREDENTIALS
    [outcome] = await channel.send([notification(2, "device:x")])
    assert isinstance(outcome, Sent)


@pytest.mark.parametrize(
    ("answer", "reason", "wait_s"),
    [
        ((400, {}, '{"error": "invalid_grant"}'), Reason.PROVIDER_CREDENTIALS, None),
        ((401, {}, "no JSON"), Reason.PROVIDER_CREDENTIALS, None),
        ((200, {}, "{}"), Reason.PROVIDER_CREDENTIALS, None),
        ((503, {"Retry-After": "9"}, ""), Reason.PROVIDER_DEFERRED, 9),
    ],
)
async def test_without_a_token_nobody_loses_a_message(
    firebase: FcmPeer, answer: tuple[int, dict[str, str], str], reason: Reason, wait_s: float | None
) -> None:
    channel = firebase.channel()
    firebase.server.token_answer = answer
    outcomes = await channel.send([notification(n, "device:x") for n in range(20)])
    assert {(type(each), getattr(each, "reason"), getattr(each, "retry_after_s")) for each in outcomes} == {  # noqa: B009
        (TransientFailure, reason, wait_s)
    }
    firebase.server.token_answer = None
    assert isinstance((await channel.send([notification(1, "device:x")]))[0], Sent)


async def test_a_revoked_key_is_told_as_such(firebase: FcmPeer) -> None:
    firebase.server.revoked = True
    outcome = await send(firebase, "device:x")
    assert isinstance(outcome, TransientFailure)
    assert outcome.detail == "the token endpoint: 400 invalid_grant"


async def test_who_is_cut_off_while_waiting_for_a_token_has_sent_nothing(firebase: FcmPeer) -> None:
    channel = firebase.channel()
    firebase.server.token_released.clear()
    calls = [asyncio.create_task(channel.send([notification(n, "device:x")])) for n in range(2)]
    await firebase.server.token_asked.acquire()
    calls[0].cancel()
    with pytest.raises(CutOff) as cut:
        await calls[0]
    assert cut.value.outcomes == [None]
    firebase.server.token_released.set()
    assert isinstance((await calls[1])[0], Sent)


async def test_a_token_that_can_t_be_fetched_is_told_without_the_account(firebase: FcmPeer) -> None:
    firebase.server.revoked = True
    with structlog.testing.capture_logs() as lines:
        await send(firebase, "device:x")
    assert {"provider": "fcm", "reason": "PROVIDER_CREDENTIALS"}.items() <= lines[0].items()
    assert ACCOUNT not in repr(lines)


async def test_a_configuration_opens_a_channel(firebase: FcmPeer, ca: trustme.CA, tmp_path: Any) -> None:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    key = {
        "type": "service_account",
        "project_id": "shop",
        "private_key_id": "key-1",
        "private_key": pem(rsa_private_key()),
        "client_email": ACCOUNT,
        "token_uri": f"{firebase.server.url}/token",
    }
    part = PushProvider.model_validate(
        {
            "name": "android",
            "fcm": {
                "credentials": {"env": "KEY"},
                "url": firebase.server.url,
                "ca_file": str(tmp_path / "ca.pem"),
            },
        }
    )
    opening = Opening(environment={"KEY": json.dumps(key)}, message_id_domain="shop.example")
    channel = PROVIDERS["fcm"].open(part.settings, opening)
    assert isinstance((await channel.send([notification(1, "device:x")]))[0], Sent)
    await channel.close()


async def test_a_look_tells_of_a_project_that_is_not_ours_and_of_a_key_that_is_gone(firebase: FcmPeer) -> None:
    found = await firebase.channel(project="another").check()
    assert (found.ok, found.detail.partition(":")[0]) == (False, "it refuses us")
    channel = firebase.channel()
    assert (await channel.check()).ok
    firebase.server.revoked = True
    assert not (await channel.check()).ok, "a token that is still good says nothing of the key"
