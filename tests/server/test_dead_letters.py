"""Dead letters over the wire: found by a filter, sent again or discarded, each once and nobody else's."""

from __future__ import annotations

import base64
import itertools
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from clarion.v1 import campaign_pb2, delivery_pb2
from clarion.v1 import campaign_service_pb2 as campaigns
from clarion.v1 import delivery_service_pb2 as pb
from clarion.v1 import trigger_service_pb2 as triggers
from clarion_core.store.store import Store
from support.clarion import CAMPAIGN, Clarion, a_campaign, a_recipient, a_trigger
from support.invariants import check
from support.records import Records
from support.refusal import refused
from support.smtp_sink import SmtpSink

Delivery = delivery_pb2.Delivery
FAILED, AMBIGUOUS = Delivery.STATE_FAILED, Delivery.STATE_AMBIGUOUS
REFUSED, UNKNOWN = Delivery.REASON_RECIPIENT_REFUSED, Delivery.REASON_HANDOVER_UNKNOWN
AT_MOST = campaign_pb2.Campaign.AMBIGUITY_POLICY_AT_MOST_ONCE
FAR_MS = 4_000_000_000_000
TEAM_B = (("x-clarion-workspace", "team-b"),)


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink() as sink:
        yield sink


@pytest.fixture(autouse=True)
async def _accounted(store: Store, clarion: Clarion) -> Any:
    yield
    await check(Records(store))


def filtered(**fields: Any) -> dict[str, Any]:
    return {"campaign": CAMPAIGN} | fields


async def ended(clarion: Clarion, sink: SmtpSink, *actions: str, **fields: Any) -> list[Delivery]:
    """The deliveries of a trigger that is finished, one for each action of the sink; nobody works any more."""
    worker = await clarion.work(sink.port)
    recipients = [a_recipient(n, addresses={"email": f"{action}+{n}@example.com"}) for n, action in enumerate(actions)]
    trigger = await clarion.finished((await clarion.trigger(recipients=recipients, **fields)).name)
    await worker.stop()
    return await deliveries(clarion, trigger.name)


async def deliveries(clarion: Clarion, name: str) -> list[Delivery]:
    request = pb.ListDeliveriesRequest(trigger=name, page_size=500)
    return list((await clarion.deliveries.ListDeliveries(request)).deliveries)


async def get(clarion: Clarion, name: str) -> Delivery:
    return (await clarion.deliveries.GetDelivery(pb.GetDeliveryRequest(name=name))).delivery


def trigger_of(delivery: Delivery) -> str:
    return delivery.name.partition("/deliveries/")[0]


async def pages(clarion: Clarion, size: int = 0, **fields: Any) -> list[list[Delivery]]:
    found, token = [], ""
    while True:
        request = pb.ListDeadLettersRequest(filter=filtered(**fields), page_size=size, page_token=token)
        page = await clarion.deliveries.ListDeadLetters(request)
        found.append(list(page.deliveries))
        token = page.next_page_token
        if not token:
            return found


async def listed(clarion: Clarion, **fields: Any) -> list[str]:
    return [delivery.name for delivery in itertools.chain(*await pages(clarion, **fields))]


def redrive(clarion: Clarion, *, metadata: Any = (), validate_only: bool = False, **fields: Any) -> Any:
    extra = {name: fields.pop(name) for name in ("request_id", "page_token") if name in fields}
    request = pb.RedriveDeadLettersRequest(filter=filtered(**fields), validate_only=validate_only, **extra)
    return clarion.deliveries.RedriveDeadLetters(request, metadata=metadata)


def discard(clarion: Clarion, *, reason: str = "a test", metadata: Any = (), **fields: Any) -> Any:
    extra = {name: fields.pop(name) for name in ("request_id", "page_token", "validate_only") if name in fields}
    request = pb.DiscardDeadLettersRequest(filter=filtered(**fields), reason=reason, **extra)
    return clarion.deliveries.DiscardDeadLetters(request, metadata=metadata)


class TestListing:
    async def test_what_failed_and_what_is_ambiguous_is_listed_as_it_stands(
        self, clarion: Clarion, sink: SmtpSink
    ) -> None:
        await clarion.live_campaign(ambiguity_policy=AT_MOST)
        sent, failed, unsure = await ended(clarion, sink, "ok", "rcpt-550", "dot-drop")
        [page] = await pages(clarion)
        assert page == [failed, unsure]
        assert [(each.state, each.reason) for each in page] == [(FAILED, REFUSED), (AMBIGUOUS, UNKNOWN)]
        assert "550" in failed.detail
        assert {each.provider for each in (sent, failed, unsure)} == {"smtp"}
        assert not failed.HasField("redrive_time")
        assert not failed.HasField("discard_time")

    async def test_pages_hold_each_once_the_triggers_that_first_failed_first(
        self, clarion: Clarion, sink: SmtpSink
    ) -> None:
        await clarion.live_campaign()
        made = [
            await ended(clarion, sink, *actions)
            for actions in (("ok", "rcpt-550", "ok", "rcpt-550"), ("rcpt-550",), ("ok",), ("rcpt-550", "rcpt-550"))
        ]
        expected = [each.name for trigger in made for each in trigger if each.state == FAILED]
        for size in (1, 2, 3, 500):
            found = await pages(clarion, size)
            assert [each.name for each in itertools.chain(*found)] == expected
            assert max(map(len, found)) <= size
        assert [] in await pages(clarion, 1)  # what was looked at may hold none

    async def test_all_that_is_set_must_fit(self, clarion: Clarion, sink: SmtpSink) -> None:
        await clarion.live_campaign(ambiguity_policy=AT_MOST)
        _, failed, unsure = await ended(clarion, sink, "ok", "rcpt-550", "dot-drop")
        [later] = await ended(clarion, sink, "rcpt-550")
        at = {each.name: each.update_time for each in (failed, unsure, later)}
        every = [failed.name, unsure.name, later.name]
        for fields, found in (
            ({}, every),
            ({"states": [FAILED]}, [failed.name, later.name]),
            ({"states": [AMBIGUOUS]}, [unsure.name]),
            ({"states": [FAILED, AMBIGUOUS]}, every),
            ({"reasons": [REFUSED]}, [failed.name, later.name]),
            ({"reasons": [REFUSED, UNKNOWN]}, every),
            ({"reasons": [REFUSED], "states": [AMBIGUOUS]}, []),
            ({"provider": "smtp"}, every),
            ({"provider": "another"}, []),
            ({"from_time": at[later.name]}, [later.name]),
            ({"until_time": at[later.name]}, [failed.name, unsure.name]),
            ({"from_time": at[later.name], "until_time": at[later.name]}, []),
            ({"from_time": Timestamp(seconds=-1)}, every),
            ({"deliveries": [unsure.name, later.name]}, [unsure.name, later.name]),
            ({"deliveries": [unsure.name, later.name], "states": [FAILED]}, [later.name]),
        ):
            assert await listed(clarion, **fields) == found, fields

    async def test_only_dead_letters_of_the_campaign_and_workspace_can_be_named(
        self, clarion: Clarion, sink: SmtpSink
    ) -> None:
        await clarion.live_campaign()
        sent, failed = await ended(clarion, sink, "ok", "rcpt-550")
        base, number = failed.name.rpartition("-")[::2]
        nobody = f"{CAMPAIGN}/triggers/{'0' * 27}/deliveries/{'0' * 21}-0"
        foreign = f"{trigger_of(failed)}/deliveries/{'0' * 21}-0"
        for name in (sent.name, f"{base}-{int(number) + 900}", nobody, foreign):
            assert await listed(clarion, deliveries=[name]) == []
        error = await refused(redrive(clarion, deliveries=[failed.name, failed.name.replace("welcome", "another")]))
        assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert error.violations == {"filter.deliveries[1]": "must be one of the campaign in filter.campaign"}

    async def test_a_campaign_that_is_none_has_no_dead_letters(self, clarion: Clarion) -> None:
        assert await listed(clarion) == []

    async def test_the_list_holds_what_had_failed_when_it_was_begun(self, clarion: Clarion, sink: SmtpSink) -> None:
        await clarion.live_campaign()
        first = await ended(clarion, sink, "rcpt-550", "rcpt-550")
        request = pb.ListDeadLettersRequest(filter=filtered(), page_size=1)
        page = await clarion.deliveries.ListDeadLetters(request)
        [later] = await ended(clarion, sink, "rcpt-550")
        request.page_size, request.page_token = 500, page.next_page_token
        rest = await clarion.deliveries.ListDeadLetters(request)
        assert [each.name for each in (*page.deliveries, *rest.deliveries)] == [each.name for each in first]
        assert rest.next_page_token == ""
        assert later.name in await listed(clarion)


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


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "path"),
        [
            ({"campaign": "welcome"}, "filter.campaign"),
            ({"deliveries": ["welcome/1/1-1"]}, "filter.deliveries[0]"),
            ({"deliveries": [f"{CAMPAIGN}/triggers/{'0' * 27}/deliveries/{'0' * 21}-0"] * 501}, "filter.deliveries"),
            ({"states": [FAILED, Delivery.STATE_SENT]}, "filter.states[1]"),
            ({"states": [99]}, "filter.states[0]"),
            ({"reasons": [0]}, "filter.reasons[0]"),
            ({"reasons": [99]}, "filter.reasons[0]"),
            ({"provider": "x" * 65}, "filter.provider"),
        ],
    )
    async def test_a_filter_that_can_not_be_right_is_refused_by_its_field(
        self, clarion: Clarion, fields: dict[str, Any], path: str
    ) -> None:
        request = pb.ListDeadLettersRequest(filter=filtered(**fields))
        for call in (
            clarion.deliveries.ListDeadLetters(request),
            redrive(clarion, **fields),
            discard(clarion, **fields),
        ):
            error = await refused(call)
            assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
            assert list(error.violations) == [path]

    async def test_a_filter_is_required(self, clarion: Clarion) -> None:
        for call in (
            clarion.deliveries.ListDeadLetters(pb.ListDeadLettersRequest()),
            clarion.deliveries.RedriveDeadLetters(pb.RedriveDeadLettersRequest()),
            clarion.deliveries.DiscardDeadLetters(pb.DiscardDeadLettersRequest(reason="x")),
        ):
            assert list((await refused(call)).violations) == ["filter"]

    async def test_a_token_holds_for_its_method_and_filter_alone(self, clarion: Clarion, sink: SmtpSink) -> None:
        await clarion.live_campaign()
        await ended(clarion, sink, *["rcpt-550"] * 501)
        of_list = await clarion.deliveries.ListDeadLetters(pb.ListDeadLettersRequest(filter=filtered()))
        of_redrive = await redrive(clarion, validate_only=True)
        of_discard = await discard(clarion, validate_only=True)

        def list_(token: str, **fields: Any) -> Any:
            request = pb.ListDeadLettersRequest(filter=filtered(**fields), page_token=token)
            return clarion.deliveries.ListDeadLetters(request)

        mine, others = of_redrive.next_page_token, [of_list.next_page_token, of_discard.next_page_token]
        for call in (
            *(redrive(clarion, page_token=token) for token in others),
            *(list_(token) for token in (mine, others[1])),
            *(discard(clarion, page_token=token) for token in (mine, others[0])),
            list_(others[0], states=[FAILED]),
            redrive(clarion, page_token=mine, reasons=[REFUSED]),
            redrive(clarion, page_token=mine, metadata=TEAM_B),
            *(redrive(clarion, page_token=tampered(mine, *position)) for position in TAMPERED),
            redrive(clarion, page_token=mine[:-3]),
        ):
            error = await refused(call)
            assert error.says == (StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
            assert list(error.violations) == ["page_token"]

    async def test_a_place_that_a_caller_made_up_leads_into_no_other_campaign_or_workspace(
        self, clarion: Clarion, sink: SmtpSink
    ) -> None:
        await clarion.live_campaign()
        await ended(clarion, sink, *["rcpt-550"] * 501)
        [other] = await _of_another_campaign(clarion, sink)
        [foreign] = await _of_team_b(clarion, sink)
        token = (await redrive(clarion, validate_only=True)).next_page_token
        for delivery in (other, foreign):
            trigger_id = trigger_of(delivery).rpartition("/")[2]
            made_up = tampered(token, FAR_MS, trigger_id, 0, FAR_MS)
            answer = await redrive(clarion, page_token=made_up)
            assert (answer.redriven, answer.skipped) == (0, 0)


TAMPERED: list[tuple[object, ...]] = [
    (),
    (-1, "0" * 27, 0, 1),
    (1, "0" * 27, -1, 1),
    (1, "0" * 27, 10**6, 1),
    (1, 27, 0, 1),
    (1, "0" * 27, 0),
    (1, "0" * 27, 0, 2**60),
]


def tampered(token: str, *position: object) -> str:
    """A token as an earlier answer gave it, for a place that the caller made up."""
    digest, _ = msgspec.msgpack.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((digest, position))).decode().rstrip("=")


async def _of_another_campaign(clarion: Clarion, sink: SmtpSink) -> list[Delivery]:
    await clarion.live_campaign("other")
    return await ended(clarion, sink, "rcpt-550", campaign="campaigns/other")


async def _of_team_b(clarion: Clarion, sink: SmtpSink) -> list[Delivery]:
    create = campaigns.CreateCampaignRequest(campaign_id="welcome", campaign=a_campaign())
    await clarion.campaigns.CreateCampaign(create, metadata=TEAM_B)
    await clarion.campaigns.ActivateCampaign(campaigns.ActivateCampaignRequest(name=CAMPAIGN), metadata=TEAM_B)
    worker = await clarion.work(sink.port)
    recipients = [a_recipient(addresses={"email": "rcpt-550@example.com"})]
    made = await clarion.triggers.CreateTrigger(a_trigger(recipients=recipients), metadata=TEAM_B)
    watch = triggers.WatchTriggerRequest(name=made.trigger.name)
    async for _ in clarion.triggers.WatchTrigger(watch, metadata=TEAM_B):
        continue
    await worker.stop()
    request = pb.ListDeliveriesRequest(trigger=made.trigger.name)
    return list((await clarion.deliveries.ListDeliveries(request, metadata=TEAM_B)).deliveries)


async def test_each_workspace_has_its_own(clarion: Clarion, sink: SmtpSink) -> None:
    await clarion.live_campaign()
    [mine] = await ended(clarion, sink, "rcpt-550")
    [theirs] = await _of_team_b(clarion, sink)
    assert await listed(clarion) == [mine.name]
    assert await listed(clarion, deliveries=[theirs.name]) == []
    assert (await redrive(clarion, deliveries=[theirs.name])).redriven == 0
    assert (await discard(clarion, metadata=TEAM_B, deliveries=[mine.name])).discarded == 0
    assert (await discard(clarion, metadata=TEAM_B)).discarded == 1
    assert await listed(clarion) == [mine.name]
