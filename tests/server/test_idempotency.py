"""Request ids of triggers: one id, one trigger, one answer, whatever happened in between."""

from __future__ import annotations

import asyncio
import uuid

import grpc
import pytest
from google.protobuf.message import Message
from grpc import StatusCode

from clarion.v1 import campaign_service_pb2 as campaigns
from clarion.v1 import trigger_service_pb2 as pb
from clarion_core.store.store import Store
from support.clarion import CAMPAIGN, Clarion, a_recipient, a_trigger
from support.refusal import refused


def a_request_id() -> str:
    return str(uuid.uuid4())


def canonical(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


async def act(clarion: Clarion, action: str) -> None:
    request = getattr(campaigns, f"{action}CampaignRequest")(name=CAMPAIGN)
    await getattr(clarion.campaigns, f"{action}Campaign")(request)


@pytest.mark.parametrize("count", [1, 600], ids=["small", "staged"])
async def test_racing_calls_with_one_id_make_one_trigger(clarion: Clarion, count: int) -> None:
    await clarion.live_campaign()
    racers = 200 if count == 1 else 20
    request = a_trigger(count, request_id=a_request_id())
    answers = await asyncio.gather(*(clarion.triggers.CreateTrigger(request) for _ in range(racers)))

    assert sum(not answer.replayed for answer in answers) == 1
    assert len({canonical(answer.trigger) for answer in answers}) == 1
    listed = await clarion.triggers.ListTriggers(pb.ListTriggersRequest(campaign=CAMPAIGN))
    assert len(listed.triggers) == 1
    campaign = (await clarion.campaigns.GetCampaign(campaigns.GetCampaignRequest(name=CAMPAIGN))).campaign
    assert (campaign.counts.accepted, campaign.counts.in_flight) == (count, count)


async def test_calls_race_over_two_servers_as_over_one(clarion: Clarion) -> None:
    await clarion.live_campaign()
    other = type(clarion.triggers)(await clarion.channel(await clarion.serve()))
    request = a_trigger(3, request_id=a_request_id())
    answers = await asyncio.gather(*(stub.CreateTrigger(request) for stub in [clarion.triggers, other] * 25))
    assert sum(not answer.replayed for answer in answers) == 1
    assert len({canonical(answer.trigger) for answer in answers}) == 1


async def test_racing_calls_with_one_id_and_different_bodies_make_one_trigger(clarion: Clarion) -> None:
    await clarion.live_campaign()
    request_id = a_request_id()
    calls = [clarion.triggers.CreateTrigger(a_trigger(1 + index % 2, request_id=request_id)) for index in range(40)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    accepted = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    refusals = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert (len(accepted), len(refusals)) == (20, 20)
    assert {error.code() for error in refusals} == {StatusCode.ALREADY_EXISTS}


@pytest.mark.parametrize(
    "change",
    [
        {"context": {"total": 2}},
        {"all_or_nothing": True},
        {"recipients": [a_recipient(0)]},
        {"recipients": [a_recipient(1), a_recipient(0)]},
        {"recipients": [a_recipient(0, locale="de"), a_recipient(1)]},
        {"recipients": [a_recipient(0, profile={"a": 1}), a_recipient(1)]},
    ],
    ids=["context", "flag", "fewer", "order", "locale", "profile"],
)
async def test_the_same_id_with_another_body_is_refused(clarion: Clarion, change: dict[str, object]) -> None:
    await clarion.live_campaign()
    request_id = a_request_id()
    first = await clarion.triggers.CreateTrigger(a_trigger(2, request_id=request_id))
    if "context" in change:
        field = {"name": "total", "type": "TYPE_NUMBER"}
        request = campaigns.UpdateCampaignRequest(campaign={"name": CAMPAIGN, "context": [field]})
        await clarion.campaigns.UpdateCampaign(request)
    error = await refused(clarion.triggers.CreateTrigger(a_trigger(2, request_id=request_id, **change)))
    assert error.says == (StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert error.metadata == {"request_id": request_id, "resource": first.trigger.name}


async def test_the_order_of_maps_is_no_difference(clarion: Clarion) -> None:
    await clarion.live_campaign()
    request_id = a_request_id()
    for names, replayed in ((("a", "b", "c"), False), (("c", "b", "a"), True)):
        profile = {name: {"x": 1.0, "y": name} for name in names}
        request = a_trigger(recipients=[a_recipient(profile=profile)], request_id=request_id)
        assert (await clarion.triggers.CreateTrigger(request)).replayed == replayed


@pytest.mark.parametrize("since", ["Pause", "Stop", "Update", "Delete"])
async def test_a_repeat_gets_the_first_answer_whatever_became_of_the_campaign(clarion: Clarion, since: str) -> None:
    await clarion.live_campaign()
    recipients = [a_recipient(0), a_recipient(1, addresses={"email": "nobody"}), a_recipient(2)]
    request = a_trigger(recipients=recipients, request_id=a_request_id())
    first = await clarion.triggers.CreateTrigger(request)
    assert len(first.trigger.refusals) == 1

    if since == "Update":
        field = {"name": "total", "type": "TYPE_NUMBER", "required": True}
        update = campaigns.UpdateCampaignRequest(campaign={"name": CAMPAIGN, "context": [field]})
        await clarion.campaigns.UpdateCampaign(update)
    for action in {"Delete": ["Stop", "Delete"], "Update": []}.get(since, [since]):
        await act(clarion, action)

    again = await clarion.triggers.CreateTrigger(request)
    assert again.replayed
    assert again.trigger == first.trigger


async def test_a_finished_trigger_s_repeat_still_gets_the_first_answer(clarion: Clarion) -> None:
    await clarion.live_campaign()
    request = a_trigger(2, request_id=a_request_id())
    first = await clarion.triggers.CreateTrigger(request)
    await clarion.triggers.CancelTrigger(pb.CancelTriggerRequest(name=first.trigger.name))
    again = await clarion.triggers.CreateTrigger(request)
    assert (again.replayed, again.trigger) == (True, first.trigger)


async def test_a_refused_call_leaves_its_id_free(clarion: Clarion) -> None:
    await clarion.live_campaign()
    request_id = a_request_id()
    bad = a_trigger(recipients=[a_recipient(addresses={"email": "nobody"})], request_id=request_id)
    assert (await refused(clarion.triggers.CreateTrigger(bad))).reason == "RECIPIENTS_REFUSED"
    answer = await clarion.triggers.CreateTrigger(a_trigger(request_id=request_id))
    assert not answer.replayed


async def test_checking_only_neither_uses_nor_answers_an_id(clarion: Clarion) -> None:
    await clarion.live_campaign()
    request_id = a_request_id()
    check = a_trigger(request_id=request_id, validate_only=True)
    await clarion.triggers.CreateTrigger(check)
    assert not (await clarion.triggers.CreateTrigger(a_trigger(request_id=request_id))).replayed
    assert not (await clarion.triggers.CreateTrigger(check)).replayed


async def test_without_an_id_a_repeated_call_is_a_second_trigger(clarion: Clarion) -> None:
    await clarion.live_campaign()
    assert (await clarion.trigger()).name != (await clarion.trigger()).name


async def test_a_caller_that_went_away_learns_by_repeating(clarion: Clarion, store: Store) -> None:
    await clarion.live_campaign()
    for _ in range(20):
        request = a_trigger(20, request_id=a_request_id())
        call = clarion.triggers.CreateTrigger(request)
        await call.wait_for_connection()
        call.cancel()
        answer = await clarion.triggers.CreateTrigger(request)
        assert answer.trigger.counts.accepted == 20
    campaign = (await clarion.campaigns.GetCampaign(campaigns.GetCampaignRequest(name=CAMPAIGN))).campaign
    assert campaign.counts.accepted == 20 * 20
    assert await store.command("ZCARD", f"clarion:{{0}}:i:default/{CAMPAIGN.partition('/')[2]}") == 20


async def test_a_deadline_that_passes_breaks_nothing(clarion: Clarion) -> None:
    await clarion.live_campaign()
    request = a_trigger(1000, request_id=a_request_id())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await clarion.triggers.CreateTrigger(request, timeout=0.001)
    assert caught.value.code() == StatusCode.DEADLINE_EXCEEDED
    assert (await clarion.triggers.CreateTrigger(request)).trigger.counts.accepted == 1000
