"""What every channel promises (`clarion_workers.channels.Channel`), whatever it sends over."""

from __future__ import annotations

import asyncio
import time

import pytest
import structlog
from msgspec.structs import replace

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels import CutOff
from support.peers.peer import Peer


async def test_a_message_is_sent_and_the_providers_words_are_kept(peer: Peer) -> None:
    [outcome] = await peer.channel().send([peer.message("takes", 1)])
    assert isinstance(outcome, Sent)
    assert outcome.detail
    assert peer.received() == ["00j4k-1"]


async def test_the_providers_id_is_kept(peer: Peer) -> None:
    outcomes = await peer.channel(connections=1).send([peer.message("takes", number) for number in range(3)])
    ids = peer.ids()
    assert ids is None or [outcome.provider_id for outcome in outcomes if isinstance(outcome, Sent)] == ids
    assert ids is None or len(set(ids)) == 3


async def test_the_idempotency_key_is_the_delivery_in_every_attempt(peer: Peer) -> None:
    channel, message = peer.channel(), peer.message("takes", 1)
    await channel.send([message])
    await channel.send([message])
    keys = peer.keys()
    assert keys is None or (len(keys) == 2 and keys[0] == keys[1] and "00j4k-1" in keys[0])


async def test_how_long_it_is_worth_delivering_is_passed_on(peer: Peer) -> None:
    [outcome] = await peer.channel().send([replace(peer.message("takes", 1), deadline_s=time.monotonic() + 600)])
    assert isinstance(outcome, Sent)
    lifetimes = peer.lifetimes_s()
    if lifetimes is not None:
        [lifetime_s] = lifetimes
        assert lifetime_s is not None
        assert 500 <= lifetime_s <= 600


async def test_how_long_to_wait_is_heard(peer: Peer) -> None:
    if "throttles" not in peer.behaviours:
        assert peer.throttle_s is None
        return
    [outcome] = await peer.channel().send([peer.message("throttles", 1)])
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is peer.trouble(Reason.PROVIDER_DEFERRED)
    assert outcome.retry_after_s == peer.throttle_s
    assert peer.received() == []


async def test_nothing_to_send_is_no_outcome(peer: Peer) -> None:
    assert await peer.channel().send([]) == []


async def test_a_refusal_for_now_is_transient(peer: Peer) -> None:
    [outcome] = await peer.channel().send([peer.message("refuses for now", 1)])
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is peer.trouble(Reason.PROVIDER_DEFERRED)
    assert peer.received() == []


@pytest.mark.parametrize(
    ("behaviour", "reasons"),
    [
        ("refuses the recipient", {Reason.RECIPIENT_REFUSED, Reason.DEVICE_GONE, Reason.ENDPOINT_GONE}),
        ("refuses the message", {Reason.MESSAGE_REFUSED}),
    ],
)
async def test_a_refusal_for_good_is_permanent(peer: Peer, behaviour: str, reasons: set[Reason]) -> None:
    [outcome] = await peer.channel().send([peer.message(behaviour, 1)])
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason in reasons
    assert peer.received() == []


@pytest.mark.parametrize("how", ["hangs", "breaks"])
async def test_no_answer_before_hand_over_is_transient(peer: Peer, how: str) -> None:
    if f"{how} before hand-over" not in peer.behaviours:
        return
    [outcome] = await peer.channel(timeout_s=1.0).send([peer.message(f"{how} before hand-over", 1)])
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is peer.trouble(Reason.PROVIDER_UNREACHABLE)
    assert peer.received() == []


@pytest.mark.parametrize("how", ["hangs", "breaks"])
async def test_no_answer_after_hand_over_is_ambiguous(peer: Peer, how: str) -> None:
    [outcome] = await peer.channel(timeout_s=1.0).send([peer.message(f"{how} after hand-over", 1)])
    assert isinstance(outcome, Ambiguous)
    assert peer.received() == ["00j4k-1"]


async def test_a_provider_that_is_away_is_transient(peer: Peer) -> None:
    outcomes = await peer.unreachable().send([peer.message("takes", n) for n in range(10)])
    assert [type(o) for o in outcomes] == [TransientFailure] * 10
    assert {o.reason for o in outcomes if isinstance(o, TransientFailure)} == {
        peer.trouble(Reason.PROVIDER_UNREACHABLE)
    }


async def test_wrong_credentials_never_cost_a_recipient_the_message(peer: Peer) -> None:
    channel = peer.wrongly_known()
    if channel is None:
        return
    [outcome] = await channel.send([peer.message("takes", 1)])
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is peer.trouble(Reason.PROVIDER_CREDENTIALS)
    assert peer.received() == []


async def test_an_untrusted_certificate_never_gets_a_message(peer: Peer) -> None:
    channel = peer.distrusting()
    if channel is None:
        return
    [outcome] = await channel.send([peer.message("takes", 1)])
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is peer.trouble(Reason.PROVIDER_CREDENTIALS)
    assert peer.received() == []


async def test_outcomes_come_in_the_order_of_the_messages(peer: Peer) -> None:
    kinds = {
        "takes": Sent,
        "refuses for now": TransientFailure,
        "refuses the recipient": PermanentFailure,
        "refuses the message": PermanentFailure,
        "breaks before hand-over": TransientFailure,
        "breaks after hand-over": Ambiguous,
    }
    kinds = {behaviour: kind for behaviour, kind in kinds.items() if behaviour in peer.behaviours}
    behaviours = [list(kinds)[n * 7 % len(kinds)] if n % 5 == 0 else "takes" for n in range(100)]
    messages = [peer.message(behaviour, n) for n, behaviour in enumerate(behaviours)]
    outcomes = await peer.channel().send(messages)
    assert [type(outcome) for outcome in outcomes] == [kinds[behaviour] for behaviour in behaviours]


async def test_every_message_arrives_once_over_many_calls_at_once(peer: Peer) -> None:
    channel = peer.channel()
    calls = [[peer.message("takes", call * 50 + n) for n in range(50)] for call in range(8)]
    results = await asyncio.gather(*(channel.send(call) for call in calls))
    assert all(isinstance(outcome, Sent) for outcomes in results for outcome in outcomes)
    assert sorted(peer.received()) == sorted(f"00j4k-{n}" for n in range(400))


async def test_text_of_every_script_arrives(peer: Peer) -> None:
    text = "Größe • Заказ • ご注文 • طلب • 🎁\n"
    [outcome] = await peer.channel().send([peer.message("takes", 1, text)])
    assert isinstance(outcome, Sent)
    assert [received.strip() for received in peer.received_texts()] == [text.strip()]


async def test_a_large_message_arrives_whole(peer: Peer) -> None:
    text = "0123456789abcdef" * 4 + "\n"
    text *= peer.LARGE // len(text)
    [outcome] = await peer.channel().send([peer.message("takes", 1, text)])
    assert isinstance(outcome, Sent)
    assert peer.received_texts()[0].splitlines() == text.splitlines()


async def test_a_cancelled_call_ends_at_once_and_the_channel_goes_on(peer: Peer) -> None:
    channel = peer.channel(connections=1)
    call = asyncio.create_task(channel.send([peer.message("hangs after hand-over", 1)]))
    await peer.wait_for(1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    peer.released.set()
    [outcome] = await channel.send([peer.message("takes", 2)])
    assert isinstance(outcome, Sent)


async def test_what_a_cancelled_call_had_not_begun_is_never_sent(peer: Peer) -> None:
    channel = peer.channel(connections=1)
    messages = [peer.message("hangs after hand-over", 1), *(peer.message("takes", n) for n in range(2, 50))]
    call = asyncio.create_task(channel.send(messages))
    await peer.wait_for(1)
    call.cancel()
    with pytest.raises(CutOff) as cut:
        await call
    first, *rest = cut.value.outcomes
    assert isinstance(first, Ambiguous)
    assert rest == [None] * 48
    peer.released.set()
    await channel.send([peer.message("takes", 99)])
    assert peer.received() == ["00j4k-1", "00j4k-99"]


async def test_what_a_cancelled_call_had_sent_is_told(peer: Peer) -> None:
    channel = peer.channel(connections=1)
    messages = [peer.message("takes", 1), peer.message("hangs after hand-over", 2)]
    call = asyncio.create_task(channel.send(messages))
    await peer.wait_for(2)
    call.cancel()
    with pytest.raises(CutOff) as cut:
        await call
    assert [type(outcome) for outcome in cut.value.outcomes] == [Sent, Ambiguous]
    peer.released.set()


async def test_what_is_too_late_is_not_handed_over(peer: Peer) -> None:
    messages = [peer.message("takes", 1), peer.message("takes", 2)]
    late = replace(messages[0], deadline_s=time.monotonic())
    outcome, other = await peer.channel().send([late, messages[1]])
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.EXPIRED
    assert isinstance(other, Sent)
    assert peer.received() == ["00j4k-2"]


async def test_a_closed_channel_says_so(peer: Peer) -> None:
    channel = peer.channel()
    await channel.send([peer.message("takes", 1)])
    await channel.close()
    [outcome] = await channel.send([peer.message("takes", 2)])
    assert isinstance(outcome, TransientFailure)


async def test_a_look_finds_a_provider_that_takes_messages_and_sends_none(peer: Peer) -> None:
    channel = peer.channel()
    found = await channel.check()
    assert found.ok, found.detail
    assert found.detail
    assert await channel.check() == found
    assert peer.received() == []
    [outcome] = await channel.send([peer.message("takes", 1)])
    assert isinstance(outcome, Sent)


@pytest.mark.parametrize("trouble", ["unreachable", "wrongly_known", "distrusting"])
async def test_a_look_finds_what_is_wrong(peer: Peer, trouble: str) -> None:
    channel = getattr(peer, trouble)()
    if channel is None or not peer.LOOKED_AT:
        return
    found = await channel.check()
    assert not found.ok, found.detail
    assert found.detail
    assert not [secret for secret in peer.SECRETS if secret in found.detail], found.detail
    assert peer.received() == []


async def test_a_look_at_a_closed_channel_opens_nothing(peer: Peer) -> None:
    channel = peer.channel()
    await channel.close()
    await channel.check()
    assert peer.received() == []


async def test_no_personal_data_is_logged(peer: Peer) -> None:
    with structlog.testing.capture_logs() as lines:
        refusing = [each for each in peer.behaviours if each.startswith(("takes", "refuses", "throttles"))]
        await peer.channel().send([peer.message(behaviour, 1) for behaviour in refusing])
        if channel := peer.wrongly_known():
            await channel.send([peer.message("takes", 2)])
        await peer.unreachable().send([peer.message("takes", 3)])
    logged = repr([line for line in lines if line["log_level"] != "debug"])
    assert peer.trouble(Reason.PROVIDER_UNREACHABLE).value in logged
    assert peer.SECRETS
    assert not [secret for secret in peer.SECRETS if secret in logged]
