"""What every call of the client does: deadline, workspace, request id, repeats."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import grpc
import pytest

import clarion_client
from clarion.v1.campaign_pb2 import Campaign
from clarion.v1.campaign_service_pb2 import (
    ActivateCampaignResponse,
    CreateCampaignResponse,
    DeleteCampaignResponse,
    GetCampaignResponse,
    ListCampaignsResponse,
    PauseCampaignResponse,
    PreviewCampaignResponse,
    ResumeCampaignResponse,
    StopCampaignResponse,
    UpdateCampaignResponse,
)
from clarion.v1.delivery_pb2 import Delivery
from clarion.v1.delivery_service_pb2 import (
    DiscardDeadLettersResponse,
    GetDeliveryResponse,
    ListDeadLettersResponse,
    ListDeliveriesResponse,
    RedriveDeadLettersResponse,
)
from clarion.v1.trigger_pb2 import Trigger
from clarion.v1.trigger_service_pb2 import (
    CancelTriggerResponse,
    CreateTriggerResponse,
    GetTriggerResponse,
    ListTriggersResponse,
    PauseTriggerResponse,
    ResumeTriggerResponse,
)
from clients.scripted_server import Failure, Script, Silence

ANA = {"user_id": "7", "addresses": {"email": "ana@example.com"}}
AWAY = Failure(code=grpc.StatusCode.UNAVAILABLE, reason="STORE_UNAVAILABLE", retry_after_s=0.0)
FULL = Failure(code=grpc.StatusCode.RESOURCE_EXHAUSTED, reason="OVERLOADED", retry_after_s=0.01)


async def test_a_call_carries_its_workspace_and_a_deadline(script: Script) -> None:
    script.on("GetCampaign", GetCampaignResponse(campaign=Campaign(name="campaigns/welcome")))
    async with clarion_client.connect(script.target, workspace="shop", timeout_s=5) as clarion:
        campaign = await clarion.get_campaign("welcome")
    [call] = script.calls
    assert campaign.name == "campaigns/welcome"
    assert call.request.name == "campaigns/welcome"
    assert call.metadata["x-clarion-workspace"] == "shop"
    assert 4 < (call.time_remaining_s or 0) < 6


async def test_the_server_is_taken_from_the_environment(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    script.on("GetCampaign", GetCampaignResponse(campaign=Campaign(name="campaigns/welcome")))
    monkeypatch.setenv("CLARION_SERVER", script.target)
    async with clarion_client.connect() as clarion:
        assert (await clarion.get_campaign("welcome")).name == "campaigns/welcome"


async def test_unavailable_is_repeated_with_the_same_request_id(
    script: Script, clarion: clarion_client.Clarion
) -> None:
    answer = CreateTriggerResponse(trigger=Trigger(name="campaigns/welcome/triggers/t"))
    script.on("CreateTrigger", AWAY, AWAY, answer)
    assert await clarion.create_trigger("welcome", [ANA], {"order_id": "A-1"}) == answer
    ids = [request.request_id for request in script.requests("CreateTrigger")]
    assert len(ids) == 3
    assert len(set(ids)) == 1
    assert uuid.UUID(ids[0]).version == 4


async def test_two_calls_have_two_request_ids_unless_given(script: Script, clarion: clarion_client.Clarion) -> None:
    given = str(uuid.uuid4())
    script.on("CreateTrigger", CreateTriggerResponse())
    for request_id in ("", "", given):
        await clarion.create_trigger("welcome", [ANA], request_id=request_id)
    ids = [request.request_id for request in script.requests("CreateTrigger")]
    assert len(set(ids)) == 3
    assert ids[2] == given


async def test_the_deadline_bounds_all_tries_together(script: Script) -> None:
    script.on("GetCampaign", Failure(code=grpc.StatusCode.UNAVAILABLE, reason="DRAINING", retry_after_s=0.05))
    async with clarion_client.connect(script.target, timeout_s=2.0) as clarion:
        with pytest.raises(clarion_client.Unavailable):
            await clarion.get_campaign("welcome")
    remaining = [call.time_remaining_s or 0.0 for call in script.calls]
    assert len(remaining) > 1
    assert remaining == sorted(remaining, reverse=True)
    assert remaining[0] <= 2.0


async def test_a_pause_that_would_outlast_the_deadline_is_not_begun(script: Script) -> None:
    script.on("GetCampaign", Failure(code=grpc.StatusCode.UNAVAILABLE, reason="DRAINING", retry_after_s=60))
    async with clarion_client.connect(script.target, timeout_s=5) as clarion:
        with pytest.raises(clarion_client.Unavailable) as caught:
            await clarion.get_campaign("welcome")
    assert caught.value.retry_after_s == 60
    assert len(script.calls) == 1


async def test_a_server_that_does_not_answer_is_a_deadline_exceeded(script: Script) -> None:
    script.on("GetCampaign", Silence())
    async with clarion_client.connect(script.target, timeout_s=0.1) as clarion:
        with pytest.raises(clarion_client.DeadlineExceeded):
            await clarion.get_campaign("welcome")


async def test_a_full_server_is_not_asked_again_unless_wanted(script: Script, clarion: clarion_client.Clarion) -> None:
    script.on("CreateTrigger", FULL)
    with pytest.raises(clarion_client.ResourceExhausted) as caught:
        await clarion.create_trigger("welcome", [ANA])
    assert caught.value.retry_after_s == pytest.approx(0.01)
    assert len(script.calls) == 1


async def test_a_full_server_is_asked_again_if_wanted(script: Script) -> None:
    script.on("CreateTrigger", FULL, FULL, CreateTriggerResponse(replayed=True))
    retry = clarion_client.RetryConfig(retry_exhausted=True, initial_backoff_s=0.001)
    async with clarion_client.connect(script.target, retry=retry) as clarion:
        assert (await clarion.create_trigger("welcome", [ANA])).replayed
    assert len(script.calls) == 3


async def test_attempts_are_bounded(script: Script) -> None:
    script.on("GetCampaign", AWAY)
    async with clarion_client.connect(script.target, retry=clarion_client.RetryConfig(max_attempts=1)) as clarion:
        with pytest.raises(clarion_client.Unavailable):
            await clarion.get_campaign("welcome")
    assert len(script.calls) == 1


async def test_a_list_reads_all_pages_and_skips_empty_ones(script: Script, clarion: clarion_client.Clarion) -> None:
    script.on(
        "ListDeliveries",
        ListDeliveriesResponse(deliveries=[Delivery(user_id="1"), Delivery(user_id="2")], next_page_token="a"),
        ListDeliveriesResponse(next_page_token="b"),
        ListDeliveriesResponse(deliveries=[Delivery(user_id="3")]),
    )
    found = [each.user_id async for each in clarion.list_deliveries("welcome/t", states=[Delivery.STATE_SENT])]
    assert found == ["1", "2", "3"]
    requests = script.requests("ListDeliveries")
    assert [request.page_token for request in requests] == ["", "a", "b"]
    assert {request.trigger for request in requests} == {"campaigns/welcome/triggers/t"}
    assert all(list(request.states) == [Delivery.STATE_SENT] for request in requests)


async def test_context_and_profile_are_plain_python(script: Script, clarion: clarion_client.Clarion) -> None:
    script.on("CreateTrigger", CreateTriggerResponse())
    when = datetime(2026, 11, 24, 8, tzinfo=UTC)
    person = ANA | {"locale": "pt-BR", "profile": {"tier": "gold"}, "context": {"items": [{"n": 1}, {"n": 2.5}]}}
    await clarion.create_trigger("welcome", [person], {"at": when, "paid": True, "note": None})
    [request] = script.requests("CreateTrigger")
    assert request.context["at"] == "2026-11-24T08:00:00+00:00"
    assert request.context["paid"] is True
    assert request.context["note"] is None
    assert request.recipients[0].profile["tier"] == "gold"
    assert request.recipients[0].context["items"][1]["n"] == 2.5


@pytest.mark.parametrize(
    ("context", "complaint"),
    [
        ({"at": datetime(2026, 11, 24)}, "at: a datetime needs a time zone"),  # noqa: DTZ001
        ({"order": {"lines": [{"sku": {1}}]}}, r"order\.lines\[0\]\.sku: a set has no JSON form"),
    ],
)
async def test_a_context_without_json_form_is_a_value_error(
    clarion: clarion_client.Clarion, context: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        await clarion.create_trigger("welcome", [ANA], context)


async def test_an_expiry_is_an_instant_and_an_ordering_key_text(
    script: Script, clarion: clarion_client.Clarion
) -> None:
    script.on("CreateTrigger", CreateTriggerResponse())
    there = timezone(timedelta(hours=9))
    at = datetime(2026, 11, 24, 17, 0, 0, 250_000, tzinfo=there)
    await clarion.create_trigger("welcome", [ANA], expire_time=at, ordering_key="account-7")
    await clarion.create_trigger("welcome", [ANA])
    ours, plain = script.requests("CreateTrigger")
    assert ours.expire_time.ToJsonString() == "2026-11-24T08:00:00.250Z"
    assert ours.ordering_key == "account-7"
    assert (plain.HasField("expire_time"), plain.ordering_key) == (False, "")
    with pytest.raises(ValueError, match="expire_time: a datetime needs a time zone"):
        await clarion.create_trigger("welcome", [ANA], expire_time=datetime(2026, 11, 24))  # noqa: DTZ001


async def test_an_unknown_key_of_a_recipient_is_a_value_error(clarion: clarion_client.Clarion) -> None:
    with pytest.raises(ValueError, match="adress"):
        await clarion.create_trigger("welcome", [ANA | {"adress": "x"}])


async def test_every_rpc_of_the_contract_has_its_method(script: Script, clarion: clarion_client.Clarion) -> None:
    named = Campaign(name="campaigns/welcome")
    for verb, answer in (
        ("Create", CreateCampaignResponse(campaign=named)),
        ("Update", UpdateCampaignResponse(campaign=named)),
        ("Activate", ActivateCampaignResponse(campaign=named)),
        ("Pause", PauseCampaignResponse(campaign=named)),
        ("Resume", ResumeCampaignResponse(campaign=named)),
        ("Stop", StopCampaignResponse(campaign=named)),
        ("Delete", DeleteCampaignResponse()),
        ("Preview", PreviewCampaignResponse(revision=3)),
    ):
        script.on(f"{verb}Campaign", answer)
    script.on("ListCampaigns", ListCampaignsResponse(campaigns=[named]))
    script.on("GetTrigger", GetTriggerResponse(trigger=Trigger(name="t")))
    script.on("ListTriggers", ListTriggersResponse(triggers=[Trigger(name="t")]))
    script.on("CancelTrigger", CancelTriggerResponse(trigger=Trigger(name="t")))
    script.on("PauseTrigger", PauseTriggerResponse(trigger=Trigger(name="p")))
    script.on("ResumeTrigger", ResumeTriggerResponse(trigger=Trigger(name="r")))
    script.on("GetDelivery", GetDeliveryResponse(delivery=Delivery(name="d")))
    script.on("ListDeadLetters", ListDeadLettersResponse(deliveries=[Delivery(name="d")]))
    script.on("RedriveDeadLetters", RedriveDeadLettersResponse(redriven=1))
    script.on("DiscardDeadLetters", DiscardDeadLettersResponse(discarded=1))
    assert await clarion.create_campaign("welcome", named) == named
    assert await clarion.update_campaign(named, update_mask=["contents"], etag="e") == named
    for move in (
        clarion.activate_campaign,
        clarion.pause_campaign,
        clarion.resume_campaign,
        clarion.stop_campaign,
    ):
        assert await move("welcome", etag="e") == named
    assert (await clarion.preview_campaign("welcome", ANA, {"n": 1})).revision == 3
    await clarion.delete_campaign("welcome")
    assert [each async for each in clarion.list_campaigns()] == [named]
    assert (await clarion.get_trigger("welcome/t")).name == "t"
    assert [each.name async for each in clarion.list_triggers("welcome")] == ["t"]
    assert (await clarion.cancel_trigger("welcome/t")).name == "t"
    assert (await clarion.pause_trigger("welcome/t")).name == "p"
    assert (await clarion.resume_trigger("welcome/t")).name == "r"
    assert (await clarion.get_delivery("welcome/t/t-1")).name == "d"
    assert [each.name async for each in clarion.list_dead_letters("welcome")] == ["d"]
    assert (await clarion.redrive_dead_letters("welcome")).redriven == 1
    assert await clarion.discard_dead_letters("welcome", reason="r") == 1
    acting = [call.request for call in script.calls if hasattr(call.request, "request_id")]
    assert len(acting) == 12
    assert all(uuid.UUID(request.request_id) for request in acting)
    assert list(script.requests("UpdateCampaign")[0].update_mask.paths) == ["contents"]
