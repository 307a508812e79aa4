"""A campaign's life over the wire: every action in every state, and what removal leaves."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from grpc import StatusCode

from clarion.v1 import campaign_pb2, trigger_service_pb2
from clarion.v1 import campaign_service_pb2 as pb
from clarion_core.store.keys import key
from clarion_core.store.store import Store
from support.clarion import CAMPAIGN, Clarion, a_campaign, a_trigger
from support.refusal import refused

Proto = campaign_pb2.Campaign
# How to get into each state, and which actions are allowed there with the state they lead to.
WAYS: dict[str, list[str]] = {
    "DRAFT": [],
    "LIVE": ["Activate"],
    "PAUSED": ["Activate", "Pause"],
    "STOPPED": ["Activate", "Stop"],
}
ALLOWED = {
    ("DRAFT", "Activate"): "LIVE",
    ("LIVE", "Pause"): "PAUSED",
    ("LIVE", "Stop"): "STOPPED",
    ("PAUSED", "Resume"): "LIVE",
    ("PAUSED", "Stop"): "STOPPED",
    ("DRAFT", "Delete"): "",
    ("STOPPED", "Delete"): "",
    ("DRAFT", "Update"): "DRAFT",
    ("LIVE", "Update"): "LIVE",
    ("PAUSED", "Update"): "PAUSED",
    ("LIVE", "Trigger"): "LIVE",
}
ACTIONS = ["Activate", "Pause", "Resume", "Stop", "Delete", "Update", "Trigger"]
TRIGGER_ALLOWED = "LIVE"


async def act(clarion: Clarion, action: str, **fields: Any) -> Any:
    if action == "Trigger":
        return await clarion.triggers.CreateTrigger(a_trigger())
    if action == "Update":
        return await clarion.campaigns.UpdateCampaign(
            pb.UpdateCampaignRequest(campaign=Proto(name=CAMPAIGN, display_name="New"), **fields)
        )
    request = getattr(pb, f"{action}CampaignRequest")(name=CAMPAIGN, **fields)
    return await getattr(clarion.campaigns, f"{action}Campaign")(request)


async def campaign_in(clarion: Clarion, state: str) -> Proto:
    request = pb.CreateCampaignRequest(campaign_id="welcome", campaign=a_campaign())
    campaign = (await clarion.campaigns.CreateCampaign(request)).campaign
    for action in WAYS[state]:
        campaign = (await act(clarion, action)).campaign
    assert Proto.State.Name(campaign.state) == f"STATE_{state}"
    return campaign


@pytest.mark.parametrize("state", WAYS)
@pytest.mark.parametrize("action", ACTIONS)
async def test_an_action_is_allowed_or_refused_by_state(clarion: Clarion, state: str, action: str) -> None:
    before = await campaign_in(clarion, state)

    if (state, action) not in ALLOWED:
        error = await refused(act(clarion, action))
        assert error.says == (StatusCode.FAILED_PRECONDITION, "CAMPAIGN_STATE")
        [violation] = error.details["PreconditionFailure"].violations
        allowed = [s for s, a in ALLOWED if a == action]
        assert (violation.type, violation.subject) == ("STATE", CAMPAIGN)
        assert violation.description == f"is {state}, must be {' or '.join(sorted(allowed, key=list(WAYS).index))}"
        assert error.metadata == {"resource": CAMPAIGN, "state": state, "allowed": ",".join(allowed)}
        unchanged = (await clarion.campaigns.GetCampaign(pb.GetCampaignRequest(name=CAMPAIGN))).campaign
        assert unchanged.etag == before.etag
        return

    answer = await act(clarion, action)
    if action in ("Delete", "Trigger"):
        return
    assert Proto.State.Name(answer.campaign.state) == f"STATE_{ALLOWED[state, action]}"
    assert answer.campaign.etag != before.etag
    assert answer.campaign.revision == before.revision + (action == "Update")


@pytest.mark.parametrize("action", ["Pause", "Stop"])
async def test_a_repeated_action_is_replayed_in_whatever_state_the_campaign_is_by_now(
    clarion: Clarion, action: str
) -> None:
    await campaign_in(clarion, "LIVE")
    request_id = str(uuid.uuid4())
    first = await act(clarion, action, request_id=request_id)
    if action == "Pause":
        await act(clarion, "Resume")
    again = await act(clarion, action, request_id=request_id)
    assert again.replayed
    assert again.campaign == first.campaign


async def test_a_removed_campaign_is_gone_and_its_triggers_stay_readable(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger()
    await act(clarion, "Stop")
    request_id = str(uuid.uuid4())
    assert not (await act(clarion, "Delete", request_id=request_id)).replayed
    assert (await act(clarion, "Delete", request_id=request_id)).replayed

    assert (await refused(act(clarion, "Delete"))).reason == "CAMPAIGN_NOT_FOUND"
    assert (await refused(act(clarion, "Trigger"))).reason == "CAMPAIGN_NOT_FOUND"
    assert not (await clarion.campaigns.ListCampaigns(pb.ListCampaignsRequest())).campaigns
    read = trigger_service_pb2.GetTriggerRequest(name=trigger.name)
    assert (await clarion.triggers.GetTrigger(read)).trigger.name == trigger.name


async def test_a_campaign_made_again_counts_revisions_on(clarion: Clarion) -> None:
    before = await campaign_in(clarion, "DRAFT")
    await act(clarion, "Delete")
    again = await campaign_in(clarion, "DRAFT")
    assert again.revision == before.revision + 1
    assert again.etag != before.etag


async def test_the_repeat_of_an_action_that_was_cut_off_halfway_completes_it(clarion: Clarion, store: Store) -> None:
    await campaign_in(clarion, "DRAFT")
    request_id = str(uuid.uuid4())
    await act(clarion, "Activate", request_id=request_id)
    await store.command("DEL", key(0, "gate", "default/welcome"))  # the record was written, the gates were not
    assert (await act(clarion, "Activate", request_id=request_id)).replayed
    assert (await clarion.trigger()).counts.accepted == 1
