"""From an accepted trigger to the mailbox, with a hand on it: expiry, ordering, pausing, throttles, a redrive."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from clarion.v1 import campaign_pb2, delivery_pb2, trigger_pb2
from clarion.v1 import campaign_service_pb2 as campaigns
from clarion.v1 import delivery_service_pb2 as deliveries
from clarion.v1 import trigger_service_pb2 as triggers
from clarion_core.store.keys import CONTROL, key
from clarion_core.store.store import Store
from support.clarion import CAMPAIGN, Clarion, a_recipient
from support.invariants import check
from support.records import Records, until
from support.smtp_sink import SmtpSink

Delivery = delivery_pb2.Delivery
QUICKLY = campaign_pb2.RetryPolicy(max_attempts=5, initial_backoff_s=1, max_backoff_s=1)
SHUT = 1  # a port where nobody listens


@pytest.fixture(autouse=True)
async def _accounted(store: Store, clarion: Clarion) -> Any:
    yield
    await check(Records(store))


def soon() -> Timestamp:
    made = Timestamp()
    made.FromMilliseconds(time.time_ns() // 1_000_000 + 300)
    return made


def to(*addresses: str) -> list[trigger_pb2.Recipient]:
    """Recipients with these addresses; the user id is what stands behind the plus sign."""
    return [
        a_recipient(user_id=each.partition("+")[2].partition("@")[0], addresses={"email": each}) for each in addresses
    ]


async def ledger(clarion: Clarion, name: str) -> list[Delivery]:
    request = deliveries.ListDeliveriesRequest(trigger=name, page_size=500)
    return list((await clarion.deliveries.ListDeliveries(request)).deliveries)


async def act(clarion: Clarion, action: str, name: str) -> None:
    await getattr(clarion.triggers, f"{action}Trigger")(getattr(triggers, f"{action}TriggerRequest")(name=name))


def arrived(sink: SmtpSink) -> Counter[str]:
    return Counter(message.message_id for message in sink.messages)


@pytest.mark.parametrize(
    "held_up_by", ["a pause", "a paused campaign", "a provider that is away", "its campaign's limit"]
)
async def test_an_expired_trigger_reaches_nobody(clarion: Clarion, held_up_by: str) -> None:
    await clarion.live_campaign(time_to_live_s=1 if "limit" in held_up_by else 0)
    trigger = await clarion.trigger(30, expire_time=None if "limit" in held_up_by else soon())
    if held_up_by in ("a pause", "its campaign's limit"):
        await act(clarion, "Pause", trigger.name)
    if held_up_by == "a paused campaign":
        await clarion.campaigns.PauseCampaign(campaigns.PauseCampaignRequest(name=CAMPAIGN))
    async with SmtpSink() as sink:
        worker = await clarion.work(SHUT if held_up_by == "a provider that is away" else sink.port)
        ended = await clarion.finished(trigger.name)
        assert (ended.state, ended.counts.expired) == (trigger_pb2.Trigger.STATE_COMPLETED, 30)
        await worker.stop()
        await clarion.work(sink.port)
        if held_up_by == "a paused campaign":
            await clarion.campaigns.ResumeCampaign(campaigns.ResumeCampaignRequest(name=CAMPAIGN))
        other = await clarion.finished((await clarion.trigger()).name)
        assert [message.rcpt_to for message in sink.messages] == [["user-0@example.com"]]
    [sent] = await ledger(clarion, other.name)
    assert arrived(sink) == {sent.message_id.strip("<>"): 1}
    assert {each.reason for each in await ledger(clarion, trigger.name)} == {Delivery.REASON_EXPIRED}


@pytest.mark.parametrize("refused_at", ["rcpt", "dot"])
async def test_an_ordering_key_keeps_the_order_through_a_retry(clarion: Clarion, refused_at: str) -> None:
    await clarion.live_campaign(retry_policy=QUICKLY)
    recipients = to(f"{refused_at}-451-once+ana@example.com", "x+bea@example.com")
    made = [(await clarion.trigger(recipients=recipients, ordering_key="account-7")).name for _ in range(5)]
    async with SmtpSink() as sink:
        for _ in range(2):
            await clarion.work(sink.port)
        for name in made:
            await clarion.finished(name)
        received = [(message.rcpt_to[0], message.message_id) for message in sink.messages]
    expected = [[each.message_id.strip("<>") for each in await ledger(clarion, name)] for name in made]
    for number, recipient in enumerate(recipients):
        got = [message for address, message in received if address == recipient.addresses["email"]]
        assert got == [messages[number] for messages in expected]
    first = await ledger(clarion, made[0])
    assert [each.attempts for each in first] == [2, 1]


async def test_who_stands_behind_a_retry_waits_and_nobody_else_does(clarion: Clarion) -> None:
    await clarion.live_campaign()
    recipients = to("rcpt-451+ana@example.com", "x+bea@example.com")
    made = [(await clarion.trigger(recipients=recipients, ordering_key="account-7")).name for _ in range(5)]
    async with SmtpSink() as sink:
        await clarion.work(sink.port)
        await sink.wait_for(5)
    found = [await ledger(clarion, name) for name in made]
    assert [message.message_id for message in sink.messages] == [bea.message_id.strip("<>") for _, bea in found]
    assert found[0][0].attempts >= 1
    assert {(each[0].state, each[0].attempts) for each in found[1:]} == {(Delivery.STATE_QUEUED, 0)}


async def test_different_keys_and_none_are_not_put_in_order(clarion: Clarion) -> None:
    await clarion.live_campaign(retry_policy=QUICKLY)
    recipients = to("dot-451-once+ana@example.com")
    names = [(await clarion.trigger(recipients=recipients, ordering_key=word)).name for word in ("a", "b", "")]
    async with SmtpSink() as sink:
        await clarion.work(sink.port)
        for name in names:
            await clarion.finished(name)
    attempts = [each.attempts for name in names for each in await ledger(clarion, name)]
    assert sorted(attempts) == [1, 1, 2]
    assert len(arrived(sink)) == len(sink.messages) == 3


async def test_a_paused_trigger_sends_nothing_and_after_it_is_resumed_everything_once(
    clarion: Clarion, store: Store
) -> None:
    await clarion.live_campaign()
    async with SmtpSink() as sink:
        sink.script("dot", "slow")
        await clarion.work(sink.port, window=8)
        trigger, waiting = await clarion.trigger(60), await clarion.trigger(20)
        await sink.wait_for(3)
        for name in (trigger.name, waiting.name):
            await act(clarion, "Pause", name)

        async def all_set_aside() -> bool:
            return await store.command("SCARD", key(0, "held")) == 2 and not await store.command(
                "ZCARD", key(0, "open")
            )

        await until(all_set_aside)
        sink.heal()
        before = len(sink.messages)
        other = await clarion.finished((await clarion.trigger(5)).name)
        assert (other.counts.sent, len(sink.messages)) == (5, before + 5)
        assert 3 <= before < 60
        for name in (trigger.name, waiting.name):
            await act(clarion, "Resume", name)
        ended = [await clarion.finished(name) for name in (trigger.name, waiting.name)]
    assert [each.counts.sent for each in ended] == [60, 20]
    assert set(arrived(sink).values()) == {1}
    assert len(sink.messages) == 85


async def test_under_a_throttle_everything_arrives_once_with_one_attempt(clarion: Clarion, store: Store) -> None:
    await clarion.live_campaign(throttle={"rate_per_s": 100, "burst": 5})
    async with SmtpSink() as sink:
        for _ in range(2):
            await clarion.work(sink.port)
        names = [(await clarion.trigger(30)).name for _ in range(4)]
        ended = [await clarion.finished(name) for name in names]
    assert [each.counts.sent for each in ended] == [30] * 4
    assert set(arrived(sink).values()) == {1}
    assert len(sink.messages) == 120
    found = itertools.chain(*[await ledger(clarion, name) for name in names])
    assert {(each.attempts, each.ambiguous_attempts) for each in found} == {(1, 0)}
    assert await store.command("EXISTS", key(CONTROL, "throttle", "campaign:default/welcome"))


async def test_a_redrive_reaches_the_mailbox_under_the_same_message_id(clarion: Clarion) -> None:
    await clarion.live_campaign(ambiguity_policy=campaign_pb2.Campaign.AMBIGUITY_POLICY_AT_MOST_ONCE)
    async with SmtpSink() as sink:
        sink.script("rcpt", "550", nth=1)
        await clarion.work(sink.port)
        refused = await clarion.finished((await clarion.trigger(recipients=to("x+ana@example.com"))).name)
        unsure = await clarion.finished((await clarion.trigger(recipients=to("dot-drop-once+bea@example.com"))).name)
        before = [each for name in (refused.name, unsure.name) for each in await ledger(clarion, name)]
        assert [each.state for each in before] == [Delivery.STATE_FAILED, Delivery.STATE_AMBIGUOUS]
        request = deliveries.RedriveDeadLettersRequest(filter={"campaign": CAMPAIGN})
        assert (await clarion.deliveries.RedriveDeadLetters(request)).redriven == 2
        for name in (refused.name, unsure.name):
            assert (await clarion.finished(name)).counts.sent == 1
    ids = [each.message_id.strip("<>") for each in before]
    assert arrived(sink) == {ids[0]: 1, ids[1]: 2}
