"""Dead letters over the wire: found by a filter, each campaign's and workspace's own."""

from __future__ import annotations

import base64
import itertools
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from clarion.v1 import campaign_pb2
from clarion.v1 import campaign_service_pb2 as campaigns
from clarion.v1 import delivery_service_pb2 as pb
from clarion.v1 import trigger_service_pb2 as triggers
from clarion_core.store.store import Store
from support.clarion import CAMPAIGN, Clarion, a_campaign, a_recipient, a_trigger
from support.dead_letters import (
    AMBIGUOUS,
    FAILED,
    REFUSED,
    TEAM_B,
    UNKNOWN,
    Delivery,
    discard,
    ended,
    filtered,
    listed,
    pages,
    redrive,
    trigger_of,
)
from support.invariants import check
from support.records import Records
from support.refusal import refused
from support.smtp_sink import SmtpSink

AT_MOST = campaign_pb2.Campaign.AMBIGUITY_POLICY_AT_MOST_ONCE
FAR_MS = 4_000_000_000_000


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink() as sink:
        yield sink


@pytest.fixture(autouse=True)
async def _accounted(store: Store, clarion: Clarion) -> Any:
    yield
    await check(Records(store))


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
