"""Dead letters sent again or put aside over the wire: each once, and nobody else's."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from clarion.v1 import campaign_pb2
from clarion.v1 import campaign_service_pb2 as campaigns
from clarion.v1 import delivery_service_pb2 as pb
from clarion.v1 import trigger_service_pb2 as triggers
from clarion_core.store.store import Store
from support.clarion import CAMPAIGN, Clarion, a_campaign, a_recipient
from support.dead_letters import (
    AMBIGUOUS,
    FAILED,
    REFUSED,
    Delivery,
    deliveries,
    discard,
    ended,
    get,
    listed,
    redrive,
    trigger_of,
)
from support.invariants import check
from support.records import Records
from support.refusal import refused
from support.smtp_sink import SmtpSink

AT_MOST = campaign_pb2.Campaign.AMBIGUITY_POLICY_AT_MOST_ONCE


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink() as sink:
        yield sink


@pytest.fixture(autouse=True)
async def _accounted(store: Store, clarion: Clarion) -> Any:
    yield
    await check(Records(store))


class TestRedriving:
    async def test_what_is_redriven_waits_as_if_it_were_new_and_arrives_under_its_message_id(
        self, clarion: Clarion, sink: SmtpSink
    ) -> None:
        await clarion.live_campaign()
        sink.script("rcpt", "550")
        before = await ended(clarion, sink, "ok", "ok")
        answer = await redrive(clarion)
        assert answer == pb.RedriveDeadLettersResponse(redriven=2)
        assert await listed(clarion) == []
        waiting = await deliveries(clarion, trigger_of(before[0]))
        assert {(each.state, each.attempts, each.reason) for each in waiting} == {(Delivery.STATE_QUEUED, 0, 0)}
        assert all(each.redrive_time == each.update_time for each in waiting)
        read = await clarion.triggers.GetTrigger(triggers.GetTriggerRequest(name=trigger_of(before[0])))
        assert (read.trigger.counts.in_flight, read.trigger.counts.failed) == (2, 0)
        assert not read.trigger.HasField("finish_time")

        sink.heal()
        await clarion.work(sink.port)
        trigger = await clarion.finished(trigger_of(before[0]))
        assert trigger.counts.sent == 2
        assert {f"<{message.message_id}>" for message in sink.messages} == {each.message_id for each in before}
        after = await deliveries(clarion, trigger.name)
        assert [each.name for each in after] == [each.name for each in before]
        assert {(each.state, each.attempts) for each in after} == {(Delivery.STATE_SENT, 1)}

    async def test_an_ambiguous_one_keeps_the_count_of_what_may_have_left(
        self, clarion: Clarion, sink: SmtpSink
    ) -> None:
        await clarion.live_campaign(ambiguity_policy=AT_MOST)
        [unsure] = await ended(clarion, sink, "dot-drop-once")
        assert (await redrive(clarion, states=[AMBIGUOUS])).redriven == 1
        await clarion.work(sink.port)
        await clarion.finished(trigger_of(unsure))
        again = await get(clarion, unsure.name)
        assert (again.state, again.attempts, again.ambiguous_attempts) == (Delivery.STATE_SENT, 1, 1)
        assert [f"<{message.message_id}>" for message in sink.messages] == [unsure.message_id] * 2

    async def test_a_filter_redrives_what_fits_and_nothing_else(self, clarion: Clarion, sink: SmtpSink) -> None:
        await clarion.live_campaign(ambiguity_policy=AT_MOST)
        failed, unsure, named = await ended(clarion, sink, "rcpt-550", "dot-drop", "rcpt-550")
        assert (await redrive(clarion, deliveries=[named.name, named.name])).redriven == 1
        assert await listed(clarion) == [failed.name, unsure.name]
        assert (await redrive(clarion, reasons=[REFUSED])).redriven == 1
        assert await listed(clarion) == [unsure.name]

    async def test_checking_counts_and_changes_nothing(self, clarion: Clarion, sink: SmtpSink, store: Store) -> None:
        await clarion.live_campaign()
        found = await ended(clarion, sink, "rcpt-550", "ok", "rcpt-550")
        kept = await store.command("DBSIZE")
        for fields, count in (({}, 2), ({"deliveries": [found[0].name] * 2}, 1), ({"states": [AMBIGUOUS]}, 0)):
            assert await redrive(clarion, validate_only=True, **fields) == pb.RedriveDeadLettersResponse(redriven=count)
        assert await store.command("DBSIZE") == kept
        assert await deliveries(clarion, trigger_of(found[0])) == found

    async def test_what_was_called_off_or_has_expired_is_left_alone(
        self, clarion: Clarion, sink: SmtpSink, store: Store
    ) -> None:
        await clarion.live_campaign()
        await ended(clarion, sink, "rcpt-550")
        [expired] = await ended(clarion, sink, "rcpt-550", expire_time=Timestamp(seconds=4_000_000_000))
        await store.command("HSET", f"clarion:{{0}}:t:{trigger_of(expired).rpartition('/')[2]}", "x", 1)
        called_off = await _called_off(clarion, sink)
        for validate_only in (True, False):
            answer = await redrive(clarion, validate_only=validate_only)
            assert (answer.redriven, answer.skipped) == (1, 2)
        assert await listed(clarion) == [expired.name, called_off]

    async def test_a_paused_campaign_takes_them_and_sends_them_when_it_goes_on(
        self, clarion: Clarion, sink: SmtpSink
    ) -> None:
        await clarion.live_campaign()
        sink.script("rcpt", "550", nth=1)
        [failed] = await ended(clarion, sink, "ok")
        await clarion.campaigns.PauseCampaign(campaigns.PauseCampaignRequest(name=CAMPAIGN))
        assert (await redrive(clarion)).redriven == 1
        await clarion.work(sink.port)
        await clarion.campaigns.ResumeCampaign(campaigns.ResumeCampaignRequest(name=CAMPAIGN))
        assert (await clarion.finished(trigger_of(failed))).counts.sent == 1

    async def test_no_other_state_of_the_campaign_takes_them(self, clarion: Clarion, sink: SmtpSink) -> None:
        error = await refused(redrive(clarion))
        assert error.says == (StatusCode.NOT_FOUND, "CAMPAIGN_NOT_FOUND")
        create = campaigns.CreateCampaignRequest(campaign_id="draft", campaign=a_campaign())
        await clarion.campaigns.CreateCampaign(create)
        await clarion.live_campaign()
        [failed] = await ended(clarion, sink, "rcpt-550")
        await clarion.campaigns.StopCampaign(campaigns.StopCampaignRequest(name=CAMPAIGN))
        for name, stands in (("campaigns/draft", "DRAFT"), (CAMPAIGN, "STOPPED")):
            for validate_only in (True, False):
                error = await refused(redrive(clarion, validate_only=validate_only, campaign=name))
                assert error.says == (StatusCode.FAILED_PRECONDITION, "CAMPAIGN_STATE")
                assert error.metadata == {"resource": name, "state": stands, "allowed": "LIVE,PAUSED"}
        assert await listed(clarion) == [failed.name]

    async def test_a_repeated_request_gets_the_first_answer_and_sends_nothing_again(
        self, clarion: Clarion, sink: SmtpSink
    ) -> None:
        await clarion.live_campaign()
        [failed] = await ended(clarion, sink, "rcpt-550")
        request_id = str(uuid.uuid4())
        first = await redrive(clarion, request_id=request_id)
        await clarion.work(sink.port)
        await clarion.finished(trigger_of(failed))  # FAILED again
        again = await redrive(clarion, request_id=request_id)
        assert (first.redriven, first.replayed) == (1, False)
        assert (again.redriven, again.replayed) == (1, True)
        assert await listed(clarion) == [failed.name]
        for call in (
            redrive(clarion, request_id=request_id, states=[FAILED]),
            redrive(clarion, request_id=request_id, validate_only=True),
            discard(clarion, request_id=request_id),
        ):
            assert (await refused(call)).says == (StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")

    async def test_a_call_takes_on_500_and_says_where_to_go_on(self, clarion: Clarion, sink: SmtpSink) -> None:
        await clarion.live_campaign()
        await ended(clarion, sink, *["rcpt-550"] * 700)
        for validate_only in (True, False):
            first = await redrive(clarion, validate_only=validate_only)
            rest = await redrive(clarion, validate_only=validate_only, page_token=first.next_page_token)
            assert (first.redriven, rest.redriven, rest.next_page_token) == (500, 200, "")
        assert await listed(clarion) == []

    async def test_what_fails_again_meanwhile_is_not_taken_on_by_the_pages_that_follow(
        self, clarion: Clarion, sink: SmtpSink
    ) -> None:
        await clarion.live_campaign()
        made = [await ended(clarion, sink, *["rcpt-550"] * 400) for _ in range(2)]
        await clarion.work(sink.port)
        counts, token = [], ""
        while token or not counts:
            answer = await redrive(clarion, page_token=token)
            counts.append(answer.redriven)
            token = answer.next_page_token
            for trigger in made:
                await clarion.finished(trigger_of(trigger[0]))
        assert counts == [500, 300]
        assert len(await listed(clarion)) == 800


async def _called_off(clarion: Clarion, sink: SmtpSink) -> str:
    """The name of a delivery that FAILED before its trigger was called off."""
    recipients = [a_recipient(n, addresses={"email": f"{at}@example.com"}) for n, at in enumerate(["rcpt-550", "ok"])]
    sink.script("dot", "451")
    worker = await clarion.work(sink.port)
    trigger = await clarion.trigger(recipients=recipients)
    seen: set[int] = set()
    async for step in clarion.triggers.WatchTrigger(triggers.WatchTriggerRequest(name=trigger.name)):
        seen |= {change.state for change in step.change.deliveries}
        if seen >= {FAILED, Delivery.STATE_RETRYING}:
            await clarion.triggers.CancelTrigger(triggers.CancelTriggerRequest(name=trigger.name))
            break
    await clarion.finished(trigger.name)
    await worker.stop()
    return (await deliveries(clarion, trigger.name))[0].name


class TestDiscarding:
    async def test_what_is_discarded_leaves_the_list_and_says_when_and_why(
        self, clarion: Clarion, sink: SmtpSink
    ) -> None:
        await clarion.live_campaign()
        first, second = await ended(clarion, sink, "rcpt-550", "rcpt-550")
        answer = await discard(clarion, deliveries=[first.name, first.name], reason="a wrong address | “twice”")
        assert answer == pb.DiscardDeadLettersResponse(discarded=1)
        assert await listed(clarion) == [second.name]
        shown = await get(clarion, first.name)
        assert (shown.state, shown.discard_reason) == (FAILED, "a wrong address | “twice”")
        assert shown.discard_time.seconds > 0
        assert shown.update_time == first.update_time
        assert not (await get(clarion, second.name)).HasField("discard_time")

        assert (await redrive(clarion, deliveries=[first.name])).redriven == 0
        assert (await discard(clarion)).discarded == 1
        assert (await discard(clarion)).discarded == 0
        assert (await get(clarion, first.name)).discard_reason == shown.discard_reason

    async def test_checking_counts_and_changes_nothing(self, clarion: Clarion, sink: SmtpSink) -> None:
        await clarion.live_campaign()
        found = await ended(clarion, sink, "rcpt-550", "rcpt-550")
        assert (await discard(clarion, validate_only=True)).discarded == 2
        assert await listed(clarion) == [each.name for each in found]

    async def test_a_stopped_campaign_s_can_be_discarded_too(self, clarion: Clarion, sink: SmtpSink) -> None:
        await clarion.live_campaign()
        await ended(clarion, sink, "rcpt-550")
        await clarion.campaigns.StopCampaign(campaigns.StopCampaignRequest(name=CAMPAIGN))
        assert (await discard(clarion)).discarded == 1

    async def test_a_repeated_request_gets_the_first_answer(self, clarion: Clarion, sink: SmtpSink) -> None:
        await clarion.live_campaign()
        await ended(clarion, sink, "rcpt-550")
        request_id = str(uuid.uuid4())
        answers = [await discard(clarion, request_id=request_id) for _ in range(2)]
        assert [(each.discarded, each.replayed) for each in answers] == [(1, False), (1, True)]
        error = await refused(discard(clarion, request_id=request_id, reason="another"))
        assert error.says == (StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")

    async def test_a_call_takes_on_500_and_says_where_to_go_on(self, clarion: Clarion, sink: SmtpSink) -> None:
        await clarion.live_campaign()
        await ended(clarion, sink, *["rcpt-550"] * 501)
        first = await discard(clarion)
        rest = await discard(clarion, page_token=first.next_page_token)
        assert (first.discarded, rest.discarded, rest.next_page_token) == (500, 1, "")

    @pytest.mark.parametrize("reason", ["", "x" * 201])
    async def test_a_reason_is_required_and_short(self, clarion: Clarion, reason: str) -> None:
        error = await refused(discard(clarion, reason=reason))
        assert list(error.violations) == ["reason"]
