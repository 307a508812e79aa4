"""Suppressions in the delivery step: who is not sent to, from when on, and what attempts make of an address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from msgspec import Raw

from clarion_core.domain.campaign import Category
from clarion_core.domain.channel import ChannelConfiguration, Provider
from clarion_core.domain.delivery import DeliveryRecord, Reason
from clarion_core.domain.errors import StoreUnavailable
from clarion_core.domain.medium import Channel
from clarion_core.domain.outcome import AddressFact, Ambiguous, Outcome, PermanentFailure
from clarion_core.domain.suppression import COUNTED_MS, Entry, SuppressionReason, Target, TargetKind
from clarion_core.store.connection import connect
from clarion_core.store.records import RecipientRow
from clarion_core.store.store import Store
from clarion_core.store.suppressions import AllowLists, Suppressions, Told
from clarion_core.store.triggers import StoredDelivery
from clarion_stack.redis import RedisServer
from clarion_workers.may_receive import MayReceive
from support.lists import let_pass
from support.post import EMAIL_CHANNEL, Post, email_campaign
from support.records import Records, allowing, wanted
from support.smtp_sink import SmtpSink

APost = Callable[..., Post]
ADA = "user-0@example.com"  # the first recipient of a trigger


@pytest.fixture
def suppressions(records: Records) -> Suppressions:
    return Suppressions(records.store)


async def suppress(suppressions: Suppressions, value: str = ADA, reason: Any = SuppressionReason.MANUAL) -> None:
    kind = TargetKind.DOMAIN if "@" not in value else TargetKind.ADDRESS
    await suppressions.add("default", Channel.EMAIL, [Entry(target=Target(kind, value), reason=reason)])


async def work_off(records: Records, post: Post) -> None:
    while jobs := await records.jobs():
        await post.run(jobs[0])


async def sent_to(records: Records, post: Post, count: int = 1) -> list[DeliveryRecord]:
    """What became of a trigger's deliveries."""
    trigger = await records.trigger(count)
    await work_off(records, post)
    return await records.deliveries(trigger)


async def listed(suppressions: Suppressions) -> list[tuple[str, SuppressionReason | None, str]]:
    found = [each async for each in suppressions.walk("default", Channel.EMAIL)]
    return sorted((each.target.value, each.reason, each.comment) for each in found)


async def test_a_suppressed_recipient_is_accounted_for_and_the_others_get_their_mail(
    records: Records, sink: SmtpSink, a_post: APost, suppressions: Suppressions
) -> None:
    await email_campaign(records)
    await suppress(suppressions, "user-42@example.com", SuppressionReason.COMPLAINT)
    found = await sent_to(records, a_post(), 100)
    assert "".join(each.state.value for each in found) == "S" * 42 + "P" + "S" * 57
    assert (found[42].reason, found[42].attempts) == (Reason.ADDRESS_SUPPRESSED, 0)
    assert found[42].detail.startswith("COMPLAINT since 2")
    assert "user-42@example.com" not in {message.rcpt_to[0] for message in sink.messages}
    assert len(sink.messages) == 99


async def test_a_batch_in_which_nobody_may_be_sent_to_is_closed(
    records: Records, sink: SmtpSink, a_post: APost, suppressions: Suppressions
) -> None:
    await email_campaign(records)
    await suppress(suppressions, "example.com")
    found = await sent_to(records, a_post(), 30)
    assert {each.reason for each in found} == {Reason.DOMAIN_SUPPRESSED}
    assert sink.connections == 0


async def test_what_is_added_while_a_batch_waits_is_in_force(
    records: Records, sink: SmtpSink, a_post: APost, suppressions: Suppressions
) -> None:
    await email_campaign(records)
    trigger = await records.trigger(2)
    await suppress(suppressions)
    await work_off(records, a_post())
    assert await records.states(trigger) == "PS"


async def test_a_retry_is_looked_up_again(
    records: Records, sink: SmtpSink, a_post: APost, suppressions: Suppressions
) -> None:
    await email_campaign(records, retry_policy=allowing(3))
    trigger = await records.trigger(2)
    sink.script("rcpt", "451")
    post = a_post()
    await post.run((await records.jobs())[0])
    assert await records.states(trigger) == "RR"
    await suppress(suppressions)
    sink.heal()
    await work_off(records, post)
    suppressed, sent = await records.deliveries(trigger)
    assert (suppressed.state.value, suppressed.reason, suppressed.attempts) == ("P", Reason.ADDRESS_SUPPRESSED, 1)
    assert (sent.state.value, sent.attempts) == ("S", 2)


async def test_a_suspect_of_a_crash_is_looked_up_too(
    records: Records, sink: SmtpSink, a_post: APost, suppressions: Suppressions
) -> None:
    await email_campaign(records)
    trigger = await records.trigger(1)
    worker = records.worker("dead")
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim))
    await records.lapse(claim.ref.id)
    await records.sweep()
    await suppress(suppressions)
    await work_off(records, a_post())
    (found,) = await records.deliveries(trigger)
    assert (found.state.value, found.ambiguous_attempts) == ("P", 1)
    assert sink.messages == []


async def test_an_active_and_empty_allow_list_sends_nothing(records: Records, sink: SmtpSink, a_post: APost) -> None:
    await email_campaign(records)
    lists = AllowLists(records.store)
    await lists.set_active("default", Channel.EMAIL, active=True)
    post = a_post()
    (refused,) = await sent_to(records, post)
    assert (refused.state.value, refused.reason) == ("P", Reason.ADDRESS_NOT_ALLOWED)
    await lists.add("default", Channel.EMAIL, [Entry(target=Target(TargetKind.DOMAIN, "example.com"))])
    (sent,) = await sent_to(records, post)
    assert sent.state.value == "S"
    assert len(sink.messages) == 1


@pytest.mark.parametrize(
    ("category", "passes", "reason", "states"),
    [
        (Category.TRANSACTIONAL, True, SuppressionReason.COMPLAINT, "S"),
        (Category.TRANSACTIONAL, True, SuppressionReason.HARD_BOUNCE, "P"),
        (Category.TRANSACTIONAL, False, SuppressionReason.COMPLAINT, "P"),
        (Category.MARKETING, True, SuppressionReason.COMPLAINT, "P"),
    ],
)
async def test_complaints_are_passed_over_where_the_channel_says_so_and_nobody_markets(
    records: Records,
    sink: SmtpSink,
    a_post: APost,
    suppressions: Suppressions,
    category: Category,
    passes: bool,
    reason: SuppressionReason,
    states: str,
) -> None:
    await email_campaign(records, category=category)
    await suppress(suppressions, reason=reason)
    post = a_post()
    post.router.configuration = replace(EMAIL_CHANNEL, pass_over_complaints=passes)
    trigger = await records.trigger(1)
    (ref,) = await records.jobs(category.value)
    await post.run(ref)
    assert await records.states(trigger) == states


async def test_nothing_is_sent_unchecked_while_the_lists_cannot_be_asked(
    records: Records, sink: SmtpSink, a_post: APost, suppressions: Suppressions
) -> None:
    await email_campaign(records)
    await suppress(suppressions)
    trigger = await records.trigger(2)
    away = Store(connect("redis://127.0.0.1:1"))
    await a_post(suppressions=Suppressions(away)).run((await records.jobs())[0])
    await away.close()
    assert await records.states(trigger) == "QQ"
    assert sink.connections == 0
    await work_off(records, a_post())
    assert await records.states(trigger) == "PS"


@pytest.mark.parametrize(
    ("stage", "reply", "suppressed"),
    [
        ("rcpt", "550 5.1.1 nobody", True),
        ("rcpt", "550 5.1.10 null MX", True),
        ("dot", "550 5.2.1 disabled", True),
        ("rcpt", "550 sorry, no mailbox here by that name (#5.1.1)", True),
        ("rcpt", "550 mailbox unavailable", False),
        ("rcpt", "550 5.7.1 blocked", False),
        ("rcpt", "554 5.7.1 relay access denied", False),
        ("rcpt", "553 5.1.8 sender's domain not found", False),
        ("rcpt", "550 5.2.2 mailbox full", False),
        ("dot", "554 5.6.0 content", False),
        ("dot", "550 5.1.1 said too late to be about the recipient alone", False),
        ("mail", "550 5.1.1 about the sender", False),
    ],
)
async def test_a_refusal_that_says_that_there_is_no_such_address_suppresses_it(
    records: Records,
    sink: SmtpSink,
    a_post: APost,
    suppressions: Suppressions,
    stage: str,
    reply: str,
    suppressed: bool,
) -> None:
    await email_campaign(records)
    sink.script(stage, reply)
    post = a_post()
    (refused,) = await sent_to(records, post)
    assert refused.state.value == "F"
    sink.heal()
    assert await listed(suppressions) == ([(ADA, SuppressionReason.HARD_BOUNCE, reply)] if suppressed else [])
    (second,) = await sent_to(records, post)
    assert second.state.value == ("P" if suppressed else "S")


async def test_soft_bounces_of_several_days_suppress_and_a_success_between_them_sets_back(
    records: Records, sink: SmtpSink, a_post: APost, suppressions: Suppressions
) -> None:
    await email_campaign(records, retry_policy=allowing(1))
    post = a_post()
    post.router.configuration = replace(EMAIL_CHANNEL, soft_bounces=2)
    states = ""
    for full in (True, False, True, True, False):
        if full:
            sink.script("rcpt", "452 4.2.2 mailbox full")
        (found,) = await sent_to(records, post)
        states += found.state.value
        sink.heal()
        await let_pass(records.store, COUNTED_MS)
    assert states == "FSFFP"
    assert [reason for _, reason, _ in await listed(suppressions)] == [SuppressionReason.SOFT_BOUNCES]


class Listening(Store):
    """The store, and the names of the functions that are called."""

    def __init__(self, server: RedisServer) -> None:
        super().__init__(connect(server.url))
        self.called: list[str] = []

    async def call(self, name: str, shard: int | str, *blobs: bytes, **request: object) -> Any:
        """As `Store.call`."""
        self.called.append(name)
        return await super().call(name, shard, *blobs, **request)


async def test_a_batch_asks_once_and_tells_only_what_changes_something(
    records: Records, sink: SmtpSink, a_post: APost, redis_server: RedisServer
) -> None:
    await email_campaign(records)
    listening = Listening(redis_server)
    lists = Suppressions(listening)
    await lists.hear(
        "default", Channel.EMAIL, [Told(address="user-100@example.com", fact=AddressFact.SOFT_REFUSAL, source="smtp")]
    )
    listening.called.clear()
    post = a_post(suppressions=lists)
    await sent_to(records, post, 100)
    assert listening.called == ["may_receive"]
    listening.called.clear()
    await sent_to(records, post, 101)
    assert sorted(listening.called) == ["list_hear", "may_receive", "may_receive"]
    await listening.close()


async def test_what_was_learnt_is_told_again_after_the_store_was_away(
    records: Records, sink: SmtpSink, a_post: APost, redis_server: RedisServer
) -> None:
    class Away(Listening):
        async def call(self, name: str, shard: int | str, *blobs: bytes, **request: object) -> Any:
            first = name == "list_hear" and "list_hear" not in self.called
            answer = await super().call(name, shard, *blobs, **request)
            if first:
                raise StoreUnavailable
            return answer

    await email_campaign(records)
    sink.script("rcpt", "550 5.1.1 nobody")
    away = Away(redis_server)
    (found,) = await sent_to(records, a_post(suppressions=Suppressions(away)))
    assert found.reason is Reason.RECIPIENT_REFUSED
    assert away.called == ["may_receive", "list_hear", "list_hear"]
    await away.close()


GONE = PermanentFailure(reason=Reason.DEVICE_GONE, detail="UNREGISTERED")


@pytest.mark.parametrize(
    ("channel", "address", "outcome", "reason"),
    [
        (Channel.PUSH, "token-1", GONE, SuppressionReason.DEVICE_GONE),
        (
            Channel.WEBHOOK,
            "https://example.com/hook",
            PermanentFailure(reason=Reason.ENDPOINT_GONE, detail="410"),
            SuppressionReason.ENDPOINT_GONE,
        ),
        (
            Channel.SMS,
            "+4915112345678",
            PermanentFailure(reason=Reason.RECIPIENT_REFUSED, address_fact=AddressFact.UNSUBSCRIBED),
            SuppressionReason.UNSUBSCRIBED,
        ),
        (Channel.SMS, "+4915112345678", PermanentFailure(reason=Reason.RECIPIENT_REFUSED), None),
        (Channel.PUSH, "token-1", Ambiguous(), None),
    ],
)
async def test_every_channel_hears_what_its_providers_say_of_addresses(
    store: Store, channel: Channel, address: str, outcome: Outcome, reason: SuppressionReason | None
) -> None:
    lists = Suppressions(store)
    row = RecipientRow(user_id="7", addresses={channel.value: address}, locale="", profile=Raw(), context=Raw())
    delivery = StoredDelivery(id="d-0", trigger_id="t", recipient=row, record=DeliveryRecord())
    configuration = ChannelConfiguration(channel=channel.value, providers=(Provider(name="main"),))
    one = MayReceive(lists, workspace="default", channel=channel, configuration=configuration)
    assert (await one.ask([delivery], Category.TRANSACTIONAL)).may == [delivery]
    one.hear(delivery, outcome, "main")
    await one.tell()
    found = [(each.reason, each.source) async for each in lists.walk("default", channel)]
    assert found == ([(reason, "main")] if reason else [])
    (after,) = await lists.verdicts("default", channel, [address])
    assert after.may is (reason is None)
