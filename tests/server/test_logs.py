"""What the server logs: a line a call, and nobody's data."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from clarion.v1 import campaign_service_pb2 as campaigns
from clarion.v1 import delivery_service_pb2 as deliveries
from clarion.v1 import trigger_service_pb2 as pb
from support.clarion import CAMPAIGN, Clarion, a_recipient, a_trigger, an_email
from support.refusal import refused

CANARY = "canary4711"


async def test_a_call_is_one_line_with_its_outcome(clarion: Clarion) -> None:
    with capture_logs() as lines:
        await clarion.live_campaign()
        await refused(clarion.triggers.CreateTrigger(a_trigger(campaign="campaigns/nothing")))
        await clarion.server.stop()  # a caller may have its answer before the line is written
    calls = [line for line in lines if line["event"] == "call"]
    said = [(line["method"], line["code"], line.get("reason", "")) for line in calls]
    assert said == [
        ("CreateCampaign", "OK", ""),
        ("ActivateCampaign", "OK", ""),
        ("CreateTrigger", "NOT_FOUND", "CAMPAIGN_NOT_FOUND"),
    ]
    assert all(line["workspace"] == "default" and line["ms"] >= 0 for line in calls)


async def test_a_caller_that_went_away_is_logged_as_cancelled(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger()
    with capture_logs() as lines:
        stream = clarion.triggers.WatchTrigger(pb.WatchTriggerRequest(name=trigger.name))
        await stream.read()
        stream.cancel()
        while not lines:
            await clarion.campaigns.GetCampaign(campaigns.GetCampaignRequest(name=CAMPAIGN))
            lines = [line for line in lines if line["method"] == "WatchTrigger"]
    assert lines[0]["code"] == "CANCELLED"


@pytest.mark.parametrize("path", ["good", "refused", "defect"])
async def test_no_line_holds_data_of_a_person(clarion: Clarion, path: str) -> None:
    field = {"name": "city", "type": "TYPE_STRING"}
    content = an_email(text="{{ city }} {{ profile.name }} {{ 1 // (profile.n or 0) }}")
    await clarion.live_campaign(context=[field], contents=[content])
    recipient = a_recipient(
        user_id=f"{CANARY}-id",
        addresses={"email": f"{CANARY}@example.com" if path == "good" else f"{CANARY}@@"},
        profile={"name": f"{CANARY}-name", "n": 0 if path == "defect" else 1},
        context={"city": f"{CANARY}-city"} if path != "refused" else {f"{CANARY}_name": 1},
    )
    with capture_logs() as lines:
        if path == "good":
            trigger = (await clarion.triggers.CreateTrigger(a_trigger(recipients=[recipient]))).trigger
            await clarion.deliveries.ListDeliveries(deliveries.ListDeliveriesRequest(trigger=trigger.name))
        else:
            await refused(clarion.triggers.CreateTrigger(a_trigger(recipients=[recipient])))
            await refused(
                clarion.campaigns.PreviewCampaign(campaigns.PreviewCampaignRequest(name=CAMPAIGN, recipient=recipient))
            )
        await clarion.server.stop()
    assert lines
    assert CANARY not in repr(lines)
