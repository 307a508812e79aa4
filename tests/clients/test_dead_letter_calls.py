"""The client's way with dead letters: filters, pages, request ids, totals."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

import clarion_client
from clarion.v1.delivery_pb2 import Delivery
from clarion.v1.delivery_service_pb2 import (
    DiscardDeadLettersResponse,
    ListDeadLettersResponse,
    RedriveDeadLettersResponse,
)
from clarion_client import Redriven
from clients.scripted_server import Failure, Script

AWAY = Failure(code=grpc.StatusCode.UNAVAILABLE, reason="STORE_UNAVAILABLE", retry_after_s=0.0)
BROKEN = Failure(code=grpc.StatusCode.INTERNAL, reason="INTERNAL")
DELIVERY = "campaigns/welcome/triggers/t/deliveries/t-1"


def part(redriven: int, token: str = "", skipped: int = 0) -> RedriveDeadLettersResponse:
    return RedriveDeadLettersResponse(redriven=redriven, skipped=skipped, next_page_token=token)


async def test_a_filter_is_plain_python_and_the_same_for_every_page(
    script: Script, clarion: clarion_client.Clarion
) -> None:
    script.on(
        "ListDeadLetters",
        ListDeadLettersResponse(deliveries=[Delivery(name="1")], next_page_token="a"),
        ListDeadLettersResponse(next_page_token="b"),
        ListDeadLettersResponse(deliveries=[Delivery(name="2")]),
    )
    at = datetime(2026, 11, 24, 8, tzinfo=UTC)
    found = clarion.list_dead_letters(
        "welcome",
        page_size=7,
        deliveries=iter(["welcome/t/t-1"]),
        states=iter([Delivery.STATE_FAILED]),
        reasons=[Delivery.REASON_POISON],
        provider="main",
        from_time=at,
        until_time=at,
    )
    assert [each.name async for each in found] == ["1", "2"]
    requests = script.requests("ListDeadLetters")
    assert [(each.page_token, each.page_size) for each in requests] == [("", 7), ("a", 7), ("b", 7)]
    [wanted] = {each.filter.SerializeToString(deterministic=True): each.filter for each in requests}.values()
    assert (wanted.campaign, list(wanted.deliveries)) == ("campaigns/welcome", [DELIVERY])
    assert (list(wanted.states), list(wanted.reasons)) == ([Delivery.STATE_FAILED], [Delivery.REASON_POISON])
    assert wanted.provider == "main"
    assert wanted.from_time.ToDatetime(UTC) == wanted.until_time.ToDatetime(UTC) == at


async def test_nothing_given_is_everything(script: Script, clarion: clarion_client.Clarion) -> None:
    script.on("ListDeadLetters", ListDeadLettersResponse())
    assert [each async for each in clarion.list_dead_letters("welcome")] == []
    [request] = script.requests("ListDeadLetters")
    assert [field.name for field, _ in request.filter.ListFields()] == ["campaign"]


@pytest.mark.parametrize("name", ["from_time", "until_time"])
async def test_a_time_without_a_zone_is_a_value_error(clarion: clarion_client.Clarion, name: str) -> None:
    which: Any = {name: datetime(2026, 11, 24)}  # noqa: DTZ001
    with pytest.raises(ValueError, match=f"{name}: a datetime needs a time zone"):
        clarion.list_dead_letters("welcome", **which)
    with pytest.raises(ValueError, match=name):
        await clarion.redrive_dead_letters("welcome", **which)
    with pytest.raises(ValueError, match=name):
        await clarion.discard_dead_letters("welcome", reason="x", **which)


async def test_a_redrive_adds_up_its_pages_each_under_its_own_request_id(
    script: Script, clarion: clarion_client.Clarion
) -> None:
    script.on("RedriveDeadLetters", part(500, "a"), AWAY, part(480, "b", 20), part(3))
    told: list[Redriven] = []
    total = await clarion.redrive_dead_letters("welcome", progress=told.append)
    assert total == Redriven(redriven=983, skipped=20)
    assert told == [Redriven(redriven=500), Redriven(redriven=980, skipped=20), total]
    requests = script.requests("RedriveDeadLetters")
    assert [each.page_token for each in requests] == ["", "a", "a", "b"]
    ids = [each.request_id for each in requests]
    assert ids[1] == ids[2]  # the repeat
    assert len({uuid.UUID(each) for each in ids}) == 3


async def test_a_given_request_id_gives_every_page_the_same_id_again(
    script: Script, clarion: clarion_client.Clarion
) -> None:
    script.on("RedriveDeadLetters", part(500, "a"), BROKEN, part(500, "a"), part(3))
    given = str(uuid.uuid4())
    with pytest.raises(clarion_client.Internal):
        await clarion.redrive_dead_letters("welcome", request_id=given)
    assert (await clarion.redrive_dead_letters("welcome", request_id=given)).redriven == 503
    ids = [each.request_id for each in script.requests("RedriveDeadLetters")]
    assert ids[:2] == ids[2:]
    assert ids[0] == given


async def test_a_discard_adds_up_its_pages_too(script: Script, clarion: clarion_client.Clarion) -> None:
    script.on(
        "DiscardDeadLetters",
        DiscardDeadLettersResponse(discarded=500, next_page_token="a"),
        DiscardDeadLettersResponse(discarded=1),
    )
    told: list[int] = []
    assert await clarion.discard_dead_letters("welcome", reason="a test", progress=told.append) == 501
    assert told == [500, 501]
    requests = script.requests("DiscardDeadLetters")
    assert {each.reason for each in requests} == {"a test"}
    assert len({uuid.UUID(each.request_id) for each in requests}) == 2


async def test_a_check_has_no_request_id_that_the_act_could_not_use_again(
    script: Script, clarion: clarion_client.Clarion
) -> None:
    script.on("RedriveDeadLetters", part(2))
    script.on("DiscardDeadLetters", DiscardDeadLettersResponse(discarded=2))
    given = str(uuid.uuid4())
    for validate_only in (True, False):
        await clarion.redrive_dead_letters("welcome", validate_only=validate_only, request_id=given)
        await clarion.discard_dead_letters("welcome", reason="x", validate_only=validate_only, request_id=given)
    for method in ("RedriveDeadLetters", "DiscardDeadLetters"):
        asked = [(each.validate_only, each.request_id) for each in script.requests(method)]
        assert asked == [(True, ""), (False, given)]
