"""PauseTrigger and ResumeTrigger over the wire: states, repeats, refusals; who may."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import grpc
import pytest
from grpc import StatusCode

from clarion.v1 import campaign_service_pb2 as campaigns
from clarion.v1 import trigger_pb2
from clarion.v1 import trigger_service_pb2 as pb
from support.clarion import CAMPAIGN, Clarion
from support.refusal import refusal_of, refused
from support.smtp_sink import SmtpSink

Proto = trigger_pb2.Trigger
NOBODY = f"{CAMPAIGN}/triggers/{'0' * 27}"
BOTH = pytest.mark.parametrize("action", ["Pause", "Resume"])


def ask(clarion: Clarion, action: str, name: str, request_id: str = "", **options: Any) -> Any:
    request = getattr(pb, f"{action}TriggerRequest")(name=name, request_id=request_id)
    return getattr(clarion.triggers, f"{action}Trigger")(request, **options)


async def state(clarion: Clarion, name: str) -> str:
    trigger = (await clarion.triggers.GetTrigger(pb.GetTriggerRequest(name=name))).trigger
    return Proto.State.Name(trigger.state).removeprefix("STATE_")


async def test_a_paused_trigger_says_so_until_it_is_resumed(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger, other = await clarion.trigger(3), await clarion.trigger()
    paused = await ask(clarion, "Pause", trigger.name)
    assert (paused.trigger.state, paused.trigger.counts.in_flight, paused.replayed) == (Proto.STATE_PAUSED, 3, False)
    assert (await state(clarion, trigger.name), await state(clarion, other.name)) == ("PAUSED", "RUNNING")
    resumed = await ask(clarion, "Resume", trigger.name)
    assert (resumed.trigger.state, resumed.replayed) == (Proto.STATE_RUNNING, False)
    assert resumed.trigger == trigger


@BOTH
async def test_doing_it_again_changes_nothing(clarion: Clarion, action: str) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger()
    answers = [(await ask(clarion, action, trigger.name)).trigger for _ in range(3)]
    assert answers == [answers[0]] * 3
    assert await state(clarion, trigger.name) == ("PAUSED" if action == "Pause" else "RUNNING")


@BOTH
async def test_a_repeated_request_gets_the_first_answer_and_changes_nothing(clarion: Clarion, action: str) -> None:
    await clarion.live_campaign()
    trigger, other = await clarion.trigger(), await clarion.trigger()
    await ask(clarion, "Resume" if action == "Pause" else "Pause", trigger.name)
    request_id = str(uuid.uuid4())
    first = await ask(clarion, action, trigger.name, request_id)
    await ask(clarion, "Resume" if action == "Pause" else "Pause", trigger.name)
    since = await state(clarion, trigger.name)
    again = await ask(clarion, action, trigger.name, request_id)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.trigger == first.trigger
    assert await state(clarion, trigger.name) == since

    error = await refused(ask(clarion, action, other.name, request_id))
    assert error.says == (StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    error = await refused(ask(clarion, "Resume" if action == "Pause" else "Pause", trigger.name, request_id))
    assert error.says == (StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


@BOTH
async def test_a_trigger_that_is_finished_is_neither_paused_nor_resumed(clarion: Clarion, action: str) -> None:
    await clarion.live_campaign()
    cancelled, sent = await clarion.trigger(), await clarion.trigger()
    await clarion.triggers.CancelTrigger(pb.CancelTriggerRequest(name=cancelled.name))
    async with SmtpSink() as sink:
        await clarion.work(sink.port)
        await clarion.finished(sent.name)
    for name, stands in ((cancelled.name, "CANCELLED"), (sent.name, "COMPLETED")):
        for request_id in ("", str(uuid.uuid4())):
            error = await refused(ask(clarion, action, name, request_id))
            assert error.says == (StatusCode.FAILED_PRECONDITION, "TRIGGER_STATE")
            assert error.metadata == {"resource": name, "state": stands, "allowed": "RUNNING,PAUSED"}
            assert action.lower() in error.message
        assert await state(clarion, name) == stands


@BOTH
async def test_a_trigger_that_is_being_called_off_is_neither_paused_nor_resumed(clarion: Clarion, action: str) -> None:
    await clarion.live_campaign()
    async with SmtpSink() as sink:
        sink.script("dot", "hang")
        await clarion.work(sink.port)
        trigger = await clarion.trigger(2)
        await sink.wait_for(1)  # handed over, and not answered
        await clarion.triggers.CancelTrigger(pb.CancelTriggerRequest(name=trigger.name))
        error = await refused(ask(clarion, action, trigger.name))
        assert error.says == (StatusCode.FAILED_PRECONDITION, "TRIGGER_STATE")
        assert error.metadata["state"] == "CANCELLED"
        sink.released.set()
        assert (await clarion.finished(trigger.name)).state == Proto.STATE_CANCELLED


@BOTH
async def test_without_a_name_of_a_trigger_of_this_campaign_and_workspace_nothing_happens(
    clarion: Clarion, action: str
) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger()
    elsewhere = trigger.name.replace("welcome", "another")
    team_b = (("x-clarion-workspace", "team-b"),)
    for name, metadata in ((NOBODY, ()), (elsewhere, ()), (trigger.name, team_b)):
        error = await refused(ask(clarion, action, name, metadata=metadata))
        assert error.says == (StatusCode.NOT_FOUND, "TRIGGER_NOT_FOUND")
        assert error.metadata == {"trigger": name}
    assert await state(clarion, trigger.name) == "RUNNING"


@BOTH
async def test_what_can_not_be_right_is_refused_by_its_field(clarion: Clarion, action: str) -> None:
    error = await refused(ask(clarion, action, "triggers/1", "not-a-uuid"))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert set(error.violations) == {"name", "request_id"}


async def test_a_paused_trigger_can_be_called_off(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger(3)
    await ask(clarion, "Pause", trigger.name)
    answer = await clarion.triggers.CancelTrigger(pb.CancelTriggerRequest(name=trigger.name))
    assert (answer.trigger.state, answer.trigger.counts.cancelled) == (Proto.STATE_CANCELLED, 3)


async def test_a_resumed_trigger_of_a_paused_campaign_stays_paused_until_that_is_resumed(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger()
    await ask(clarion, "Pause", trigger.name)
    await clarion.campaigns.PauseCampaign(campaigns.PauseCampaignRequest(name=CAMPAIGN))
    assert (await ask(clarion, "Resume", trigger.name)).trigger.state == Proto.STATE_PAUSED
    await clarion.campaigns.ResumeCampaign(campaigns.ResumeCampaignRequest(name=CAMPAIGN))
    assert await state(clarion, trigger.name) == "RUNNING"


async def test_resuming_a_campaign_does_not_resume_a_paused_trigger(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger()
    await ask(clarion, "Pause", trigger.name)
    await clarion.campaigns.PauseCampaign(campaigns.PauseCampaignRequest(name=CAMPAIGN))
    await clarion.campaigns.ResumeCampaign(campaigns.ResumeCampaignRequest(name=CAMPAIGN))
    assert await state(clarion, trigger.name) == "PAUSED"


async def test_racing_calls_leave_one_state_and_nothing_lost(clarion: Clarion) -> None:
    await clarion.live_campaign()
    async with SmtpSink() as sink:
        await clarion.work(sink.port)
        trigger = await clarion.trigger(700)
        calls = [ask(clarion, ("Pause", "Resume")[index % 2], trigger.name) for index in range(20)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        outcomes += await asyncio.gather(ask(clarion, "Resume", trigger.name), return_exceptions=True)
        refusals = [refusal_of(outcome) for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
        assert {refusal.metadata["state"] for refusal in refusals} <= {"COMPLETED"}
        ended = await clarion.finished(trigger.name)
    assert ended.counts.sent == len({message.message_id for message in sink.messages}) == len(sink.messages) == 700
