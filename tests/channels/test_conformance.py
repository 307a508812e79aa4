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

from .conftest import EmailProvider as Provider


async def test_a_message_is_sent_and_the_providers_words_are_kept(provider: Provider) -> None:
    [outcome] = await provider.channel().send([provider.message("takes", 1)])
    assert isinstance(outcome, Sent)
    assert outcome.detail
    assert provider.received() == ["00j4k-1"]


async def test_nothing_to_send_is_no_outcome(provider: Provider) -> None:
    assert await provider.channel().send([]) == []


async def test_a_refusal_for_now_is_transient(provider: Provider) -> None:
    [outcome] = await provider.channel().send([provider.message("refuses for now", 1)])
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.PROVIDER_DEFERRED
    assert provider.received() == []


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [("refuses the recipient", Reason.RECIPIENT_REFUSED), ("refuses the message", Reason.MESSAGE_REFUSED)],
)
async def test_a_refusal_for_good_is_permanent(provider: Provider, behaviour: str, reason: Reason) -> None:
    [outcome] = await provider.channel().send([provider.message(behaviour, 1)])
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason is reason
    assert provider.received() == []


@pytest.mark.parametrize("how", ["hangs", "breaks"])
async def test_no_answer_before_hand_over_is_transient(provider: Provider, how: str) -> None:
    [outcome] = await provider.impatient().send([provider.message(f"{how} before hand-over", 1)])
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.PROVIDER_UNREACHABLE
    assert provider.received() == []


@pytest.mark.parametrize("how", ["hangs", "breaks"])
async def test_no_answer_after_hand_over_is_ambiguous(provider: Provider, how: str) -> None:
    [outcome] = await provider.impatient().send([provider.message(f"{how} after hand-over", 1)])
    assert isinstance(outcome, Ambiguous)
    assert provider.received() == ["00j4k-1"]


async def test_a_provider_that_is_away_is_transient(provider: Provider) -> None:
    outcomes = await provider.unreachable().send([provider.message("takes", n) for n in range(10)])
    assert [type(o) for o in outcomes] == [TransientFailure] * 10
    assert {o.reason for o in outcomes if isinstance(o, TransientFailure)} == {Reason.PROVIDER_UNREACHABLE}


async def test_wrong_credentials_never_cost_a_recipient_the_message(provider: Provider) -> None:
    [outcome] = await provider.wrongly_known().send([provider.message("takes", 1)])
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.PROVIDER_CREDENTIALS
    assert provider.received() == []


async def test_an_untrusted_certificate_never_gets_a_message(provider: Provider) -> None:
    [outcome] = await provider.distrusting().send([provider.message("takes", 1)])
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.PROVIDER_CREDENTIALS
    assert provider.received() == []


async def test_outcomes_come_in_the_order_of_the_messages(provider: Provider) -> None:
    kinds = {
        "takes": Sent,
        "refuses for now": TransientFailure,
        "refuses the recipient": PermanentFailure,
        "refuses the message": PermanentFailure,
        "breaks before hand-over": TransientFailure,
        "breaks after hand-over": Ambiguous,
    }
    behaviours = [list(kinds)[n * 7 % len(kinds)] if n % 5 == 0 else "takes" for n in range(100)]
    messages = [provider.message(behaviour, n) for n, behaviour in enumerate(behaviours)]
    outcomes = await provider.channel().send(messages)
    assert [type(outcome) for outcome in outcomes] == [kinds[behaviour] for behaviour in behaviours]


async def test_every_message_arrives_once_over_many_calls_at_once(provider: Provider) -> None:
    channel = provider.channel()
    calls = [[provider.message("takes", call * 50 + n) for n in range(50)] for call in range(8)]
    results = await asyncio.gather(*(channel.send(call) for call in calls))
    assert all(isinstance(outcome, Sent) for outcomes in results for outcome in outcomes)
    assert sorted(provider.received()) == sorted(f"00j4k-{n}" for n in range(400))


async def test_text_of_every_script_arrives(provider: Provider) -> None:
    text = "Größe • Заказ • ご注文 • طلب • 🎁\n"
    [outcome] = await provider.channel().send([provider.message("takes", 1, text)])
    assert isinstance(outcome, Sent)
    assert len(provider.received_texts()) == 1


async def test_a_large_message_arrives_whole(provider: Provider) -> None:
    text = "0123456789abcdef" * 4 + "\n"
    [outcome] = await provider.channel().send([provider.message("takes", 1, text * (provider.LARGE // len(text)))])
    assert isinstance(outcome, Sent)
    assert len(provider.received_texts()[0]) > provider.LARGE


async def test_a_cancelled_call_ends_at_once_and_the_channel_goes_on(provider: Provider) -> None:
    channel = provider.channel(connections=1)
    call = asyncio.create_task(channel.send([provider.message("hangs after hand-over", 1)]))
    await provider.sink.wait_for(1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    provider.sink.released.set()
    [outcome] = await channel.send([provider.message("takes", 2)])
    assert isinstance(outcome, Sent)


async def test_what_a_cancelled_call_had_not_begun_is_never_sent(provider: Provider) -> None:
    channel = provider.channel(connections=1)
    messages = [provider.message("hangs after hand-over", 1), *(provider.message("takes", n) for n in range(2, 50))]
    call = asyncio.create_task(channel.send(messages))
    await provider.sink.wait_for(1)
    call.cancel()
    with pytest.raises(CutOff) as cut:
        await call
    first, *rest = cut.value.outcomes
    assert isinstance(first, Ambiguous)
    assert rest == [None] * 48
    provider.sink.released.set()
    await channel.send([provider.message("takes", 99)])
    assert provider.received() == ["00j4k-1", "00j4k-99"]


async def test_what_a_cancelled_call_had_sent_is_told(provider: Provider) -> None:
    channel = provider.channel(connections=1)
    messages = [provider.message("takes", 1), provider.message("hangs after hand-over", 2)]
    call = asyncio.create_task(channel.send(messages))
    await provider.sink.wait_for(2)
    call.cancel()
    with pytest.raises(CutOff) as cut:
        await call
    assert [type(outcome) for outcome in cut.value.outcomes] == [Sent, Ambiguous]
    provider.sink.released.set()


async def test_what_is_too_late_is_not_handed_over(provider: Provider) -> None:
    messages = [provider.message("takes", 1), provider.message("takes", 2)]
    late = replace(messages[0], deadline_s=time.monotonic())
    outcome, other = await provider.channel().send([late, messages[1]])
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.EXPIRED
    assert isinstance(other, Sent)
    assert provider.received() == ["00j4k-2"]


async def test_a_closed_channel_says_so(provider: Provider) -> None:
    channel = provider.channel()
    await channel.send([provider.message("takes", 1)])
    await channel.close()
    [outcome] = await channel.send([provider.message("takes", 2)])
    assert isinstance(outcome, TransientFailure)


async def test_no_personal_data_is_logged(provider: Provider) -> None:
    with structlog.testing.capture_logs() as lines:
        await provider.channel().send([provider.message(behaviour, 1) for behaviour in provider.ADDRESSES][:4])
        await provider.wrongly_known().send([provider.message("takes", 2)])
        await provider.unreachable().send([provider.message("takes", 3)])
    logged = repr([line for line in lines if line["log_level"] != "debug"])
    assert "smtp_not_connected" in logged
    assert not [secret for secret in ("example.com", "ada", "scripted", "wrong", "Thank") if secret in logged]
