"""Triggers read, listed and called off; deliveries read and listed."""

from __future__ import annotations

import asyncio
import base64
import itertools
import uuid

import msgspec
import pytest
from grpc import StatusCode

from clarion.v1 import campaign_service_pb2 as campaigns
from clarion.v1 import delivery_pb2, trigger_pb2
from clarion.v1 import delivery_service_pb2 as deliveries
from clarion.v1 import trigger_service_pb2 as pb
from support.clarion import CAMPAIGN, Clarion, a_recipient
from support.refusal import refused
from support.smtp_sink import SmtpSink

Proto = trigger_pb2.Trigger
State = delivery_pb2.Delivery.State
NOBODY = f"{CAMPAIGN}/triggers/{'0' * 27}"


async def listed(clarion: Clarion, size: int, campaign: str = CAMPAIGN) -> list[list[Proto]]:
    pages, token = [], ""
    while True:
        request = pb.ListTriggersRequest(campaign=campaign, page_size=size, page_token=token)
        page = await clarion.triggers.ListTriggers(request)
        pages.append(list(page.triggers))
        token = page.next_page_token
        if not token:
            return pages


async def delivery_pages(
    clarion: Clarion, name: str, size: int, states: list[State.ValueType] | None = None
) -> list[list[delivery_pb2.Delivery]]:
    pages, token = [], ""
    while True:
        request = deliveries.ListDeliveriesRequest(trigger=name, page_size=size, page_token=token, states=states)
        page = await clarion.deliveries.ListDeliveries(request)
        pages.append(list(page.deliveries))
        token = page.next_page_token
        if not token:
            return pages


def tampered(token: str, *position: object) -> str:
    """A token as an earlier answer gave it, for a place that the caller made up."""
    digest, _ = msgspec.msgpack.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((digest, position))).decode().rstrip("=")


class TestListing:
    async def test_triggers_come_newest_first_on_pages_also_within_one_millisecond(self, clarion: Clarion) -> None:
        await clarion.live_campaign()
        made = []
        for _ in range(3):  # groups that are committed together, in the same millisecond
            made += await asyncio.gather(*(clarion.trigger() for _ in range(15)))

        pages = await listed(clarion, 7)
        found = list(itertools.chain(*pages))
        times = [trigger.create_time.ToMilliseconds() for trigger in found]
        assert len(set(times)) < len(times)
        assert times == sorted(times, reverse=True)
        assert {trigger.name for trigger in found} == {trigger.name for trigger in made}
        assert len(found) == len(made)
        assert [len(page) for page in pages[:6]] == [7] * 6
        assert (await listed(clarion, 0))[0] == found

    async def test_a_listed_trigger_has_no_refusals_but_their_count(self, clarion: Clarion) -> None:
        await clarion.live_campaign()
        await clarion.trigger(recipients=[a_recipient(0), a_recipient(1, addresses={})])
        [[trigger]] = await listed(clarion, 10)
        assert (len(trigger.refusals), trigger.counts.refused) == (0, 1)

    async def test_a_token_holds_for_its_campaign_and_method_alone(self, clarion: Clarion) -> None:
        await clarion.live_campaign()
        await clarion.live_campaign("other")
        trigger = await clarion.trigger(3)
        await clarion.trigger()
        first = await clarion.triggers.ListTriggers(pb.ListTriggersRequest(campaign=CAMPAIGN, page_size=1))
        token = first.next_page_token
        for call in (
            clarion.triggers.ListTriggers(pb.ListTriggersRequest(campaign="campaigns/other", page_token=token)),
            clarion.triggers.ListTriggers(
                pb.ListTriggersRequest(campaign=CAMPAIGN, page_token=tampered(token, "x", "y"))
            ),
            clarion.triggers.ListTriggers(pb.ListTriggersRequest(campaign=CAMPAIGN, page_token=tampered(token))),
            clarion.deliveries.ListDeliveries(deliveries.ListDeliveriesRequest(trigger=trigger.name, page_token=token)),
        ):
            error = await refused(call)
            assert error.says == (StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


class TestCancelling:
    async def test_what_waits_becomes_cancelled_and_the_trigger_ends(self, clarion: Clarion) -> None:
        await clarion.live_campaign()
        trigger = await clarion.trigger(700)
        answer = await clarion.triggers.CancelTrigger(pb.CancelTriggerRequest(name=trigger.name))

        assert not answer.replayed
        assert answer.trigger.state == Proto.STATE_CANCELLED
        assert answer.trigger.HasField("finish_time")
        assert answer.trigger.counts == trigger_pb2.DeliveryCounts(accepted=700, cancelled=700)
        [[first]] = [(await delivery_pages(clarion, trigger.name, 1))[0]]
        assert first.state == State.STATE_CANCELLED
        assert first.reason == delivery_pb2.Delivery.REASON_TRIGGER_CANCELLED

    async def test_a_finished_trigger_can_not_be_called_off(self, clarion: Clarion) -> None:
        await clarion.live_campaign()
        cancelled, sent = await clarion.trigger(), await clarion.trigger()
        await clarion.triggers.CancelTrigger(pb.CancelTriggerRequest(name=cancelled.name))
        async with SmtpSink() as sink:
            await clarion.work(sink.port)
            await clarion.finished(sent.name)
        for name, state in ((cancelled.name, "CANCELLED"), (sent.name, "COMPLETED")):
            for request_id in ("", str(uuid.uuid4())):
                request = pb.CancelTriggerRequest(name=name, request_id=request_id)
                for _ in range(2):
                    error = await refused(clarion.triggers.CancelTrigger(request))
                    assert error.says == (StatusCode.FAILED_PRECONDITION, "TRIGGER_STATE")
                    assert error.metadata == {"resource": name, "state": state, "allowed": "RUNNING,PAUSED"}

    async def test_a_repeated_request_is_no_second_one(self, clarion: Clarion) -> None:
        await clarion.live_campaign()
        trigger, other = await clarion.trigger(), await clarion.trigger()
        request = pb.CancelTriggerRequest(name=trigger.name, request_id=str(uuid.uuid4()))
        first = await clarion.triggers.CancelTrigger(request)
        again = await clarion.triggers.CancelTrigger(request)
        assert (first.replayed, again.replayed) == (False, True)
        assert again.trigger == first.trigger

        request.name = other.name
        error = await refused(clarion.triggers.CancelTrigger(request))
        assert error.says == (StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")

    async def test_racing_calls_with_one_id_all_succeed(self, clarion: Clarion) -> None:
        await clarion.live_campaign()
        trigger = await clarion.trigger()
        request = pb.CancelTriggerRequest(name=trigger.name, request_id=str(uuid.uuid4()))
        answers = await asyncio.gather(*(clarion.triggers.CancelTrigger(request) for _ in range(50)))
        assert {answer.trigger.state for answer in answers} == {Proto.STATE_CANCELLED}

    async def test_without_a_name_of_a_trigger_nothing_is_called_off(self, clarion: Clarion) -> None:
        error = await refused(clarion.triggers.CancelTrigger(pb.CancelTriggerRequest(name=NOBODY)))
        assert error.says == (StatusCode.NOT_FOUND, "TRIGGER_NOT_FOUND")
        assert error.metadata == {"trigger": NOBODY}


class TestDeliveries:
    async def test_pages_are_in_the_order_of_the_recipients(self, clarion: Clarion) -> None:
        await clarion.live_campaign()
        await clarion.trigger(30)  # so that the next one's pages may begin in the middle
        triggers = await asyncio.gather(clarion.trigger(130), clarion.trigger(130), clarion.trigger(3))
        for trigger in triggers:
            pages = await delivery_pages(clarion, trigger.name, 50)
            found = list(itertools.chain(*pages))
            assert [delivery.user_id for delivery in found] == [f"user-{i}" for i in range(trigger.counts.accepted)]
            assert len({delivery.name for delivery in found}) == len(found)
            assert all(len(page) == 50 for page in pages[:-1])

    async def test_refused_recipients_have_no_delivery(self, clarion: Clarion) -> None:
        await clarion.live_campaign()
        recipients = [a_recipient(0), a_recipient(1, addresses={}), a_recipient(2)]
        trigger = await clarion.trigger(recipients=recipients)
        [page] = await delivery_pages(clarion, trigger.name, 50)
        assert [delivery.user_id for delivery in page] == ["user-0", "user-2"]

    async def test_a_delivery_says_what_became_of_it(self, clarion: Clarion) -> None:
        await clarion.live_campaign(retry_policy={"max_attempts": 1})
        addresses = ["ok@example.com", "rcpt-550@example.com", "rcpt-451@example.com"]
        recipients = [a_recipient(i, addresses={"email": address}) for i, address in enumerate(addresses)]
        trigger = await clarion.trigger(recipients=recipients)
        [[before, *_]] = await delivery_pages(clarion, trigger.name, 50)
        assert (before.state, before.attempts, before.channel) == (State.STATE_QUEUED, 0, "email")
        assert before.create_time == before.update_time == trigger.create_time

        async with SmtpSink() as sink:
            await clarion.work(sink.port)
            await clarion.finished(trigger.name)
            [message] = sink.messages
        [[sent, refused_, deferred]] = await delivery_pages(clarion, trigger.name, 50)
        assert (sent.state, sent.attempts, sent.reason) == (State.STATE_SENT, 1, 0)
        assert sent.message_id == f"<{message.message_id}>"
        assert (refused_.state, refused_.reason) == (State.STATE_FAILED, delivery_pb2.Delivery.REASON_RECIPIENT_REFUSED)
        assert "550" in refused_.detail
        assert (deferred.state, deferred.reason) == (
            State.STATE_FAILED,
            delivery_pb2.Delivery.REASON_RECIPIENT_DEFERRED,
        )
        assert all(not delivery.HasField("next_attempt_time") for delivery in (sent, refused_, deferred))

        states = [State.STATE_FAILED]
        failed = await delivery_pages(clarion, trigger.name, 1, states)
        assert [len(page) for page in failed] == [0, 1, 1]
        one = await clarion.deliveries.GetDelivery(deliveries.GetDeliveryRequest(name=sent.name))
        assert one.delivery == sent

    async def test_a_token_holds_for_its_trigger_and_filter_alone(self, clarion: Clarion) -> None:
        await clarion.live_campaign()
        trigger, other = await asyncio.gather(clarion.trigger(3), clarion.trigger(3))
        request = deliveries.ListDeliveriesRequest(trigger=trigger.name, page_size=1)
        token = (await clarion.deliveries.ListDeliveries(request)).next_page_token
        for fields in (
            {"trigger": other.name, "page_token": token},
            {"trigger": trigger.name, "page_token": token, "states": [State.STATE_QUEUED]},
            {"trigger": trigger.name, "page_token": tampered(token, -1)},
            {"trigger": trigger.name, "page_token": tampered(token, 2**62)},
            {"trigger": trigger.name, "page_token": tampered(token, "1")},
            {"trigger": trigger.name, "page_token": tampered(token, 1, 1)},
        ):
            error = await refused(clarion.deliveries.ListDeliveries(deliveries.ListDeliveriesRequest(**fields)))
            assert error.says == (StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")

    async def test_another_trigger_s_delivery_is_not_found_under_this_one(self, clarion: Clarion) -> None:
        await clarion.live_campaign()
        mine, others = await asyncio.gather(clarion.trigger(2), clarion.trigger(2))  # perhaps on one page
        foreign = (await delivery_pages(clarion, others.name, 50))[0][0].name.rpartition("/")[2]
        base = (await delivery_pages(clarion, mine.name, 50))[0][0].name.rpartition("/")[2].partition("-")[0]
        for delivery in (foreign, f"{base}-999", f"{'0' * 21}-0", f"{'z' * 21}-0"):
            name = f"{mine.name}/deliveries/{delivery}"
            error = await refused(clarion.deliveries.GetDelivery(deliveries.GetDeliveryRequest(name=name)))
            assert error.says == (StatusCode.NOT_FOUND, "DELIVERY_NOT_FOUND")
            assert error.metadata == {"delivery": name}

    @pytest.mark.parametrize("states", [[0], [99]])
    async def test_a_state_that_is_none_can_not_be_asked_for(self, clarion: Clarion, states: list[int]) -> None:
        request = deliveries.ListDeliveriesRequest(trigger=NOBODY, states=states)  # type: ignore[arg-type]  # as sent
        error = await refused(clarion.deliveries.ListDeliveries(request))
        assert list(error.violations) == ["states[0]"]


async def test_unknown_names_are_not_found_by_their_kind(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger()
    elsewhere = trigger.name.replace("welcome", "another")
    for name in (NOBODY, elsewhere, f"{CAMPAIGN}/triggers/{'i' * 27}", f"{CAMPAIGN}/triggers/{'z' * 27}"):
        for call in (
            clarion.triggers.GetTrigger(pb.GetTriggerRequest(name=name)),
            clarion.deliveries.ListDeliveries(deliveries.ListDeliveriesRequest(trigger=name)),
            clarion.deliveries.GetDelivery(deliveries.GetDeliveryRequest(name=f"{name}/deliveries/{'0' * 21}-0")),
        ):
            assert (await refused(call)).says == (StatusCode.NOT_FOUND, "TRIGGER_NOT_FOUND")


async def test_a_paused_campaign_s_trigger_is_paused_until_it_goes_on(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger()
    read = pb.GetTriggerRequest(name=trigger.name)
    await clarion.campaigns.PauseCampaign(campaigns.PauseCampaignRequest(name=CAMPAIGN))
    assert (await clarion.triggers.GetTrigger(read)).trigger.state == Proto.STATE_PAUSED
    await clarion.campaigns.ResumeCampaign(campaigns.ResumeCampaignRequest(name=CAMPAIGN))
    assert (await clarion.triggers.GetTrigger(read)).trigger.state == Proto.STATE_RUNNING
