"""From an accepted trigger to the mailbox: a real server, real workers, a provider that does as it is told."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Any

import pytest

from clarion.v1 import (
    campaign_pb2,
    campaign_service_pb2,
    delivery_pb2,
    delivery_service_pb2,
    suppression_pb2,
    trigger_pb2,
)
from clarion.v1 import suppression_service_pb2 as suppression_calls
from clarion.v1 import trigger_service_pb2 as trigger_calls
from clarion_core.store.store import Store
from support.clarion import CAMPAIGN, Clarion, a_recipient, an_email
from support.invariants import check
from support.records import Records, until
from support.render_children import children_of
from support.scrape import scrape
from support.smtp_sink import SmtpSink

State = delivery_pb2.Delivery
AT_MOST = campaign_pb2.Campaign.AMBIGUITY_POLICY_AT_MOST_ONCE
AT_LEAST = campaign_pb2.Campaign.AMBIGUITY_POLICY_AT_LEAST_ONCE


@pytest.fixture(autouse=True)
async def _accounted(store: Store, clarion: Clarion) -> Any:
    yield
    await check(Records(store))


def to(*addresses: str) -> list[trigger_pb2.Recipient]:
    return [a_recipient(index, addresses={"email": address}) for index, address in enumerate(addresses)]


def retries(attempts: int) -> campaign_pb2.RetryPolicy:
    return campaign_pb2.RetryPolicy(max_attempts=attempts, initial_backoff_s=1, max_backoff_s=1)


async def deliveries(clarion: Clarion, name: str) -> list[delivery_pb2.Delivery]:
    request = delivery_service_pb2.ListDeliveriesRequest(trigger=name, page_size=1000)
    return list((await clarion.deliveries.ListDeliveries(request)).deliveries)


def reason(delivery: delivery_pb2.Delivery) -> str:
    return delivery_pb2.Delivery.Reason.Name(delivery.reason).removeprefix("REASON_")


def arrived(sink: SmtpSink) -> Counter[str]:
    return Counter(message.message_id for message in sink.messages)


async def test_every_recipient_gets_the_message_once(clarion: Clarion) -> None:
    await clarion.live_campaign()
    async with SmtpSink() as sink:
        await clarion.work(sink.port)
        trigger = await clarion.finished((await clarion.trigger(250)).name)
    assert trigger.counts.sent == 250
    assert len(arrived(sink)) == len(sink.messages) == 250
    assert {message.rcpt_to[0] for message in sink.messages} == {f"user-{n}@example.com" for n in range(250)}
    ids = {delivery.message_id.strip("<>") for delivery in await deliveries(clarion, trigger.name)}
    assert ids == arrived(sink).keys()


async def test_a_refusal_for_now_is_tried_again_and_one_for_good_is_not(clarion: Clarion) -> None:
    await clarion.live_campaign(retry_policy=retries(3))
    async with SmtpSink() as sink:
        await clarion.work(sink.port)
        recipients = to("rcpt-451-once+a@example.com", "rcpt-550+b@example.com", "ada@example.com")
        trigger = await clarion.finished((await clarion.trigger(recipients=recipients)).name)
    later, never, once = await deliveries(clarion, trigger.name)
    assert (later.state, later.attempts) == (State.STATE_SENT, 2)
    assert (never.state, never.attempts, reason(never)) == (State.STATE_FAILED, 1, "RECIPIENT_REFUSED")
    assert (never.error_class, never.retryable) == (delivery_pb2.Delivery.ERROR_CLASS_RECIPIENT, False)
    assert (once.state, once.attempts) == (State.STATE_SENT, 1)
    assert set(arrived(sink).values()) == {1}


async def test_a_suppressed_address_gets_no_copy_and_the_recipient_the_mail(clarion: Clarion) -> None:
    copies = {"cc": ["Boss <BOSS@example.com>", "{{ profile.friend }}"], "bcc": ["archive@example.com"]}
    await clarion.live_campaign(contents=[an_email(**copies)])
    manual = suppression_pb2.Suppression.REASON_MANUAL
    entries = [
        suppression_pb2.Suppression(target={"channel": "email", "address": address}, reason=manual)
        for address in ("boss@example.com", "archive@example.com")
    ]
    await clarion.suppressions.AddSuppressions(suppression_calls.AddSuppressionsRequest(suppressions=entries))
    async with SmtpSink() as sink:
        worker = await clarion.work(sink.port, metrics="127.0.0.1:0")
        friend = a_recipient(profile={"friend": "friend@example.com"})
        trigger = await clarion.finished((await clarion.trigger(recipients=[friend])).name)
        counted: dict[str, float] = {}

        async def both() -> bool:
            counted.update((await scrape(worker.exposition.address)).by("clarion_worker_copies_total", "outcome"))
            return counted["sent"] > 0

        await until(both)
    assert (trigger.counts.sent, counted["suppressed"]) == (1, 2)
    assert [message.rcpt_to for message in sink.messages] == [["user-0@example.com"], ["friend@example.com"]]


async def test_the_last_attempt_is_decided_by_the_campaign(clarion: Clarion) -> None:
    await clarion.live_campaign(retry_policy=retries(2))
    async with SmtpSink() as sink:
        await clarion.work(sink.port)
        trigger = await clarion.trigger(recipients=to("dot-451+a@example.com"))
        (delivery,) = await deliveries(clarion, (await clarion.finished(trigger.name)).name)
    assert (delivery.state, delivery.attempts) == (State.STATE_FAILED, 2)
    assert reason(delivery) == "PROVIDER_DEFERRED"
    assert (delivery.error_class, delivery.retryable) == (delivery_pb2.Delivery.ERROR_CLASS_PROVIDER, True)
    assert sink.messages == []


@pytest.mark.parametrize(
    ("policy", "state", "messages"), [(AT_LEAST, State.STATE_SENT, 2), (AT_MOST, State.STATE_AMBIGUOUS, 1)]
)
async def test_an_answer_that_never_came_is_handled_as_the_campaign_says(
    clarion: Clarion, policy: Any, state: Any, messages: int
) -> None:
    await clarion.live_campaign(ambiguity_policy=policy, retry_policy=retries(3))
    async with SmtpSink() as sink:
        await clarion.work(sink.port)
        recipients = to("dot-drop-once+a@example.com", "ada@example.com")
        trigger = await clarion.finished((await clarion.trigger(recipients=recipients)).name)
    unsure, sure = await deliveries(clarion, trigger.name)
    assert (unsure.state, unsure.ambiguous_attempts) == (state, 1)
    assert (sure.state, sure.ambiguous_attempts) == (State.STATE_SENT, 0)
    assert arrived(sink) == {unsure.message_id.strip("<>"): messages, sure.message_id.strip("<>"): 1}


async def test_a_worker_that_drains_hands_over_to_the_next_and_nothing_is_sent_twice(clarion: Clarion) -> None:
    await clarion.live_campaign()
    async with SmtpSink() as sink:
        sink.script("dot", "slow")
        first = await clarion.work(sink.port, window=8)
        trigger = await clarion.trigger(60)
        await sink.wait_for(3)
        await first.stop()
        assert 3 <= len(sink.messages) < 60
        sink.heal()
        await clarion.work(sink.port)
        trigger = await clarion.finished(trigger.name)
    assert trigger.counts.sent == 60
    assert set(arrived(sink).values()) == {1}
    assert {delivery.ambiguous_attempts for delivery in await deliveries(clarion, trigger.name)} == {0}


async def test_a_worker_cut_off_in_its_drain_says_what_may_have_left(clarion: Clarion) -> None:
    await clarion.live_campaign(retry_policy=retries(3))
    async with SmtpSink() as sink:
        sink.script("dot", "hang")
        first = await clarion.work(sink.port, window=8, drain_s=0.0)
        trigger = await clarion.trigger(20)
        await sink.wait_for(1)
        await first.stop()
        before = await deliveries(clarion, trigger.name)
        assert State.STATE_SENDING not in {delivery.state for delivery in before}
        sink.heal()
        await clarion.work(sink.port)
        trigger = await clarion.finished(trigger.name)
    assert trigger.counts.sent == 20
    after = {delivery.message_id.strip("<>"): delivery for delivery in await deliveries(clarion, trigger.name)}
    assert sum(delivery.ambiguous_attempts for delivery in after.values()) in range(1, 9)
    for message, times in arrived(sink).items():
        assert times <= 1 + after[message].ambiguous_attempts


async def test_a_campaign_paused_in_the_middle_goes_on_where_it_was(clarion: Clarion, store: Store) -> None:
    await clarion.live_campaign()
    async with SmtpSink() as sink:
        sink.script("dot", "slow")
        await clarion.work(sink.port, window=8)
        trigger = await clarion.trigger(60)
        await sink.wait_for(3)
        await clarion.campaigns.PauseCampaign(campaign_service_pb2.PauseCampaignRequest(name=CAMPAIGN))

        async def is_parked() -> bool:
            return bool(await store.command("SCARD", "clarion:{0}:k:default/welcome"))

        await until(is_parked)
        sent = len(sink.messages)
        shown = await clarion.triggers.GetTrigger(trigger_calls.GetTriggerRequest(name=trigger.name))
        assert (shown.trigger.state, shown.trigger.counts.sent) == (trigger_pb2.Trigger.STATE_PAUSED, sent)
        assert 3 <= sent < 60
        sink.heal()
        await clarion.campaigns.ResumeCampaign(campaign_service_pb2.ResumeCampaignRequest(name=CAMPAIGN))
        trigger = await clarion.finished(trigger.name)
    assert trigger.counts.sent == 60
    assert set(arrived(sink).values()) == {1}


@pytest.mark.parametrize("call_off", ["trigger", "campaign"])
async def test_what_is_called_off_in_the_middle_ends_with_everyone_accounted_for(
    clarion: Clarion, call_off: str
) -> None:
    await clarion.live_campaign()
    async with SmtpSink() as sink:
        sink.script("dot", "slow")
        await clarion.work(sink.port, window=8)
        trigger = await clarion.trigger(60)
        await sink.wait_for(3)
        if call_off == "trigger":
            await clarion.triggers.CancelTrigger(trigger_calls.CancelTriggerRequest(name=trigger.name))
        else:
            await clarion.campaigns.StopCampaign(campaign_service_pb2.StopCampaignRequest(name=CAMPAIGN))
        trigger = await clarion.finished(trigger.name)
    assert trigger.state == trigger_pb2.Trigger.STATE_CANCELLED
    assert trigger.counts.sent == len(sink.messages)
    assert trigger.counts.sent + trigger.counts.cancelled == 60
    assert trigger.counts.cancelled > 0


async def test_two_workers_share_the_work_and_nobody_is_sent_to_twice(clarion: Clarion) -> None:
    await clarion.live_campaign()
    async with SmtpSink() as sink:
        for _ in range(2):
            await clarion.work(sink.port)
        names = [(await clarion.trigger(70)).name for _ in range(10)]
        counts = [(await clarion.finished(name)).counts.sent for name in names]
    assert counts == [70] * 10
    assert set(arrived(sink).values()) == {1}
    assert len(sink.messages) == 700


SPINS = (
    "{% if profile.guilty %}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}{% endif %}"
)


async def test_a_recipient_whose_data_make_the_template_loop_fails_and_the_others_get_their_mail(
    clarion: Clarion,
) -> None:
    await clarion.live_campaign(contents=[an_email(text=SPINS + "Welcome")])
    recipients = [a_recipient(index, profile={"guilty": index == 42}) for index in range(100)]
    async with SmtpSink() as sink:
        await clarion.work(sink.port, render_s=0.1)
        trigger = await clarion.finished((await clarion.trigger(recipients=recipients)).name)
    assert (trigger.counts.sent, trigger.counts.failed) == (99, 1)
    failed = (await deliveries(clarion, trigger.name))[42]
    assert (failed.state, reason(failed)) == (State.STATE_FAILED, "RENDER_FAILED")
    assert failed.detail == "email.text, line 1: took longer than 100 ms"
    assert set(arrived(sink).values()) == {1}


async def test_a_killed_render_child_costs_nobody_a_message(clarion: Clarion) -> None:
    await clarion.live_campaign()
    async with SmtpSink() as sink:
        sink.script("dot", "slow")
        await clarion.work(sink.port, window=8)
        trigger = await clarion.trigger(300)
        await sink.wait_for(3)
        for child in children_of(os.getpid()):
            os.kill(child, signal.SIGKILL)
        sink.heal()
        trigger = await clarion.finished(trigger.name)
    assert trigger.counts.sent == len(sink.messages) == 300
    assert set(arrived(sink).values()) == {1}
