"""What was heard of messages after they were sent, as the command line shows it."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from clarion.v1.campaign_pb2 import Campaign
from clarion.v1.campaign_service_pb2 import GetCampaignResponse
from clarion.v1.delivery_pb2 import Delivery, FeedbackCounts
from clarion.v1.delivery_service_pb2 import GetDeliveryResponse
from clarion.v1.trigger_pb2 import DeliveryCounts, Trigger
from clarion.v1.trigger_service_pb2 import DeliveryChange, GetTriggerResponse, WatchTriggerResponse
from clients.conftest import Cli
from clients.scripted_server import Script

TRIGGER = "campaigns/order-confirmation/triggers/00j4k9x2m7q1c8v5b3n6"
DELIVERY = f"{TRIGGER}/deliveries/00j4k9x2m7q1c8v5b3n6e-0"
COUNTS = DeliveryCounts(accepted=2, sent=2)
FEEDBACK = FeedbackCounts(delivered=1, bounced=1)
HARD = Delivery.Fact(
    kind=Delivery.Fact.KIND_BOUNCED,
    time=Timestamp(seconds=1_737_367_205),
    provider="dsn",
    bounce=Delivery.Bounce(
        type=Delivery.Bounce.TYPE_HARD, category=Delivery.Bounce.CATEGORY_INVALID_RECIPIENT, ajo_code=10
    ),
    code="5.1.1",
    detail="550 nobody",
)


async def test_a_delivery_shows_its_facts_under_one_another(script: Script, cli: Cli) -> None:
    delivered = Delivery.Fact(kind=Delivery.Fact.KIND_DELIVERED, time=HARD.time, provider="ses")
    sent = Delivery(name=DELIVERY, state=Delivery.STATE_SENT, provider_message_id="SM1", facts=[delivered, HARD])
    script.on("GetDelivery", GetDeliveryResponse(delivery=sent))
    lines = (await cli("deliveries", "get", DELIVERY)).out.splitlines()
    [at] = [at for at, line in enumerate(lines) if line.startswith("facts")]
    assert lines[at].endswith("DELIVERED  says ses")
    assert lines[at + 1].endswith("BOUNCED hard, invalid recipient  5.1.1  says dsn  550 nobody")
    assert any(line.split() == ["provider's", "id", "SM1"] for line in lines)


async def test_triggers_and_campaigns_show_what_was_heard_and_nothing_where_nothing_was(
    script: Script, cli: Cli
) -> None:
    script.on(
        "GetTrigger",
        GetTriggerResponse(trigger=Trigger(name=TRIGGER, counts=COUNTS, feedback=FEEDBACK)),
        GetTriggerResponse(trigger=Trigger(name=TRIGGER, counts=COUNTS)),
    )
    campaign = Campaign(name="campaigns/order-confirmation", feedback=FEEDBACK)
    script.on("GetCampaign", GetCampaignResponse(campaign=campaign))
    for command in (("triggers", "get", TRIGGER), ("campaigns", "get", "order-confirmation")):
        assert "delivered 1 · bounced 1" in (await cli(*command)).out
    assert "feedback" not in (await cli("triggers", "get", TRIGGER)).out


async def test_a_watch_for_feedback_prints_what_is_heard(script: Script, cli: Cli) -> None:
    snapshot = Trigger(name=TRIGGER, counts=COUNTS, state=Trigger.STATE_COMPLETED)
    heard = DeliveryChange(delivery=DELIVERY, state=Delivery.STATE_SENT, fact=HARD)
    change = WatchTriggerResponse.Change(
        deliveries=[heard], counts=COUNTS, state=Trigger.STATE_COMPLETED, feedback=FEEDBACK
    )
    script.on(
        "WatchTrigger",
        [
            WatchTriggerResponse(snapshot=snapshot, resume_token="1"),
            WatchTriggerResponse(change=change, resume_token="2"),
        ],
    )
    ended = await cli("watch", TRIGGER, "--feedback")
    assert "BOUNCED hard, invalid recipient  5.1.1  says dsn\n" in ended.out
    assert ended.out.endswith("COMPLETED: accepted 2 · sent 2 · delivered 1 · bounced 1\n")
    assert script.requests("WatchTrigger")[0].feedback
