"""Workspaces: what is in one does not exist in another."""

from __future__ import annotations

import uuid

import pytest
from grpc import StatusCode

from clarion.v1 import campaign_pb2, campaign_service_pb2, delivery_service_pb2, trigger_service_pb2
from support.clarion import CAMPAIGN, Clarion, a_campaign, a_trigger
from support.refusal import refused

HEADER = "x-clarion-workspace"
A, B = ((HEADER, "team-a"),), ((HEADER, "team-b"),)
Workspace = tuple[tuple[str, str]]


async def live(clarion: Clarion, workspace: Workspace, display_name: str) -> None:
    create = campaign_service_pb2.CreateCampaignRequest(
        campaign_id="welcome", campaign=a_campaign(display_name=display_name)
    )
    await clarion.campaigns.CreateCampaign(create, metadata=workspace)
    activate = campaign_service_pb2.ActivateCampaignRequest(name=CAMPAIGN)
    await clarion.campaigns.ActivateCampaign(activate, metadata=workspace)


async def test_the_same_names_are_different_campaigns(clarion: Clarion) -> None:
    await live(clarion, A, "of a")
    await live(clarion, B, "of b")
    stop = campaign_service_pb2.StopCampaignRequest(name=CAMPAIGN)
    await clarion.campaigns.StopCampaign(stop, metadata=B)

    for workspace, name, state in ((A, "of a", "LIVE"), (B, "of b", "STOPPED")):
        listed = await clarion.campaigns.ListCampaigns(campaign_service_pb2.ListCampaignsRequest(), metadata=workspace)
        assert [campaign.display_name for campaign in listed.campaigns] == [name]
        assert campaign_pb2.Campaign.State.Name(listed.campaigns[0].state) == f"STATE_{state}"
    default = await clarion.campaigns.ListCampaigns(campaign_service_pb2.ListCampaignsRequest())
    assert not default.campaigns


async def test_one_request_id_in_two_workspaces_is_two_requests(clarion: Clarion) -> None:
    request_id = str(uuid.uuid4())
    names = set()
    for workspace in (A, B):
        await live(clarion, workspace, "same")
        answer = await clarion.triggers.CreateTrigger(a_trigger(request_id=request_id), metadata=workspace)
        assert not answer.replayed
        names.add(answer.trigger.name)
    assert len(names) == 2


async def test_a_trigger_and_its_deliveries_are_not_found_elsewhere(clarion: Clarion) -> None:
    await live(clarion, A, "of a")
    await live(clarion, B, "of b")
    name = (await clarion.triggers.CreateTrigger(a_trigger(), metadata=A)).trigger.name
    list_all = delivery_service_pb2.ListDeliveriesRequest(trigger=name)
    [delivery] = (await clarion.deliveries.ListDeliveries(list_all, metadata=A)).deliveries

    async def watch() -> None:
        request = trigger_service_pb2.WatchTriggerRequest(name=name)
        async for _ in clarion.triggers.WatchTrigger(request, metadata=B):
            pass

    for call in (
        clarion.triggers.GetTrigger(trigger_service_pb2.GetTriggerRequest(name=name), metadata=B),
        clarion.triggers.CancelTrigger(trigger_service_pb2.CancelTriggerRequest(name=name), metadata=B),
        clarion.deliveries.ListDeliveries(list_all, metadata=B),
        clarion.deliveries.GetDelivery(delivery_service_pb2.GetDeliveryRequest(name=delivery.name), metadata=B),
        watch(),
    ):
        error = await refused(call)
        assert error.says == (StatusCode.NOT_FOUND, "TRIGGER_NOT_FOUND")
    listed = await clarion.triggers.ListTriggers(trigger_service_pb2.ListTriggersRequest(campaign=CAMPAIGN), metadata=B)
    assert not listed.triggers


async def test_a_call_s_workspace_does_not_leak_into_the_next(clarion: Clarion) -> None:
    await live(clarion, A, "of a")
    get = campaign_service_pb2.GetCampaignRequest(name=CAMPAIGN)
    for _ in range(3):
        assert (await clarion.campaigns.GetCampaign(get, metadata=A)).campaign.display_name == "of a"
        assert (await refused(clarion.campaigns.GetCampaign(get))).reason == "CAMPAIGN_NOT_FOUND"


@pytest.mark.parametrize("name", ["", "Team", "1team", "team a", "team_a", "t" * 64, "team/a", "-a"])
async def test_a_workspace_outside_the_rule_is_refused(clarion: Clarion, name: str) -> None:
    call = clarion.campaigns.ListCampaigns(campaign_service_pb2.ListCampaignsRequest(), metadata=((HEADER, name),))
    error = await refused(call)
    assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert list(error.violations) == [f"metadata.{HEADER}"]
