"""Feedback over the wire: facts on deliveries, counts, and watches that go on for what is heard later."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from clarion.v1 import campaign_service_pb2, delivery_service_pb2, trigger_service_pb2
from clarion.v1.delivery_pb2 import Delivery
from clarion_core.domain.bounce import BounceCategory
from clarion_core.domain.feedback import Fact, FactKind
from clarion_core.store.facts import FactStore
from clarion_core.store.store import Store
from clarion_server.convert_feedback import BOUNCE_TYPES, CATEGORIES, KINDS
from support.clarion import CAMPAIGN, Clarion
from support.smtp_sink import SmtpSink

HARD = Fact(
    kind=FactKind.BOUNCED,
    time_ms=1_737_367_205_000,
    provider="dsn",
    category=BounceCategory.INVALID_RECIPIENT,
    code="5.1.1",
    detail="550 nobody",
)


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink() as sink:
        yield sink


async def delivered(clarion: Clarion, sink: SmtpSink, count: int = 1) -> tuple[str, list[str]]:
    """A trigger that is finished, and the ids of its deliveries."""
    await clarion.live_campaign()
    await clarion.work(sink.port)
    trigger = await clarion.finished((await clarion.trigger(count)).name)
    listed = await clarion.deliveries.ListDeliveries(delivery_service_pb2.ListDeliveriesRequest(trigger=trigger.name))
    return trigger.name, [each.name.rpartition("/")[2] for each in listed.deliveries]


async def test_a_bounce_is_shown_on_a_delivery_that_stays_sent(clarion: Clarion, store: Store, sink: SmtpSink) -> None:
    trigger, [one] = await delivered(clarion, sink)
    await FactStore(store, 1, 86_400).note(one, HARD)
    request = delivery_service_pb2.GetDeliveryRequest(name=f"{trigger}/deliveries/{one}")
    shown = (await clarion.deliveries.GetDelivery(request)).delivery
    assert shown.state == Delivery.STATE_SENT
    [fact] = shown.facts
    assert (fact.kind, fact.time.ToMilliseconds(), fact.provider) == (Delivery.Fact.KIND_BOUNCED, HARD.time_ms, "dsn")
    assert (fact.code, fact.detail) == ("5.1.1", "550 nobody")
    assert (fact.bounce.type, fact.bounce.category, fact.bounce.ajo_code) == (
        Delivery.Bounce.TYPE_HARD,
        Delivery.Bounce.CATEGORY_INVALID_RECIPIENT,
        10,
    )


async def test_trigger_and_campaign_count_what_was_heard(clarion: Clarion, store: Store, sink: SmtpSink) -> None:
    trigger, ids = await delivered(clarion, sink, 3)
    facts = FactStore(store, 1, 86_400)
    for each in ids:
        await facts.note(each, Fact(kind=FactKind.DELIVERED))
    await facts.note(ids[0], HARD)
    await facts.note(ids[1], Fact(kind=FactKind.COMPLAINED))
    shown = (await clarion.triggers.GetTrigger(trigger_service_pb2.GetTriggerRequest(name=trigger))).trigger
    campaign = (await clarion.campaigns.GetCampaign(campaign_service_pb2.GetCampaignRequest(name=CAMPAIGN))).campaign
    for counts in (shown.feedback, campaign.feedback):
        assert (counts.delivered, counts.bounced, counts.complained) == (3, 1, 1)
    assert (shown.counts.sent, shown.counts.accepted) == (3, 3)


async def test_a_watch_for_feedback_goes_on_after_the_end_and_tells_what_is_heard(
    clarion: Clarion, store: Store, sink: SmtpSink
) -> None:
    trigger, [one] = await delivered(clarion, sink)
    request = trigger_service_pb2.WatchTriggerRequest(name=trigger, feedback=True)
    watch = clarion.triggers.WatchTrigger(request)
    assert (await watch.read()).HasField("snapshot")
    await FactStore(store, 1, 86_400).note(one, HARD)
    change = (await watch.read()).change
    [told] = change.deliveries
    assert (told.delivery, told.state) == (f"{trigger}/deliveries/{one}", Delivery.STATE_SENT)
    assert (told.fact.kind, told.fact.bounce.type) == (Delivery.Fact.KIND_BOUNCED, Delivery.Bounce.TYPE_HARD)
    assert change.feedback.bounced == 1
    watch.cancel()


async def test_a_watch_without_it_ends_as_ever(clarion: Clarion, store: Store, sink: SmtpSink) -> None:
    trigger, [one] = await delivered(clarion, sink)
    await FactStore(store, 1, 86_400).note(one, HARD)
    steps = [
        step async for step in clarion.triggers.WatchTrigger(trigger_service_pb2.WatchTriggerRequest(name=trigger))
    ]
    assert [step.WhichOneof("event") for step in steps] == ["snapshot"]
    assert steps[0].snapshot.feedback.bounced == 1


def test_kinds_and_categories_are_the_contracts() -> None:
    kinds, categories = set(KINDS.values()), set(CATEGORIES.values())
    assert kinds == {number for _, number in Delivery.Fact.Kind.items() if number}
    assert categories == {number for _, number in Delivery.Bounce.Category.items() if number}
    assert set(BOUNCE_TYPES.values()) == {number for _, number in Delivery.Bounce.Type.items() if number}
