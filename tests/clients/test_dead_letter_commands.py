"""`clarion dead-letters` as people and scripts meet it."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from clarion.v1.delivery_pb2 import Delivery
from clarion.v1.delivery_service_pb2 import (
    DiscardDeadLettersRequest,
    DiscardDeadLettersResponse,
    GetDeliveryResponse,
    ListDeadLettersResponse,
    RedriveDeadLettersRequest,
    RedriveDeadLettersResponse,
)
from clients.conftest import Cli
from clients.scripted_server import Failure, Script, Silence
from clients.test_cli import DELIVERY, SHORT_DELIVERY
from clients.test_terminal import start

AMBIGUOUS = Delivery.STATE_AMBIGUOUS
DEAD = Delivery(
    name=DELIVERY,
    user_id="7",
    state=AMBIGUOUS,
    reason=Delivery.REASON_HANDOVER_UNKNOWN,
    provider="main",
    attempts=1,
    ambiguous_attempts=1,
    detail="cut off",
)
REDRIVE = ("dead-letters", "redrive", "order-confirmation")
DISCARD = ("dead-letters", "discard", "order-confirmation", "--because", "wrong addresses")
TWICE = "may have arrived, and its recipient may see the message twice"


def as_if(dead: int, unsure: int = 0, skipped: int = 0) -> Any:
    """A server with so many dead letters that fit, of which some are AMBIGUOUS."""

    def answer(request: RedriveDeadLettersRequest) -> RedriveDeadLettersResponse:
        count = unsure if list(request.filter.states) == [AMBIGUOUS] else dead
        return RedriveDeadLettersResponse(redriven=count, skipped=skipped)

    return answer


def acts(script: Script, method: str = "RedriveDeadLetters") -> list[Any]:
    return [request for request in script.requests(method) if not request.validate_only]


async def test_the_list_shows_where_and_why_and_what_delivery_takes(script: Script, cli: Cli) -> None:
    script.on("ListDeadLetters", ListDeadLettersResponse(deliveries=[DEAD]))
    ended = await cli("dead-letters", "list", "order-confirmation")
    heading, row = ended.out.splitlines()
    assert heading.split() == ["DELIVERY", "USER", "STATE", "REASON", "PROVIDER", "ATTEMPTS", "ENDED", "DETAIL"]
    assert row.split() == [
        SHORT_DELIVERY,
        "7",
        "AMBIGUOUS",
        "handover_unknown",
        "main",
        "1",
        "(1",
        "unsure)",
        "cut",
        "off",
    ]
    script.replace("ListDeadLetters", ListDeadLettersResponse())
    assert (await cli("dead-letters", "list", "order-confirmation")).err == "no dead letters\n"
    assert (await cli("dead-letters", "list", "order-confirmation", "-o", "json")).json == []


async def test_filters_are_those_of_the_contract(script: Script, cli: Cli) -> None:
    script.on("ListDeadLetters", ListDeadLettersResponse(deliveries=[DEAD] * 3, next_page_token="more"))
    before = datetime.now(UTC)
    ended = await cli(
        *("dead-letters", "list", "order-confirmation", "--state", "FAILED", "--state", "ambiguous", "--limit", "2"),
        *("--reason", "recipient-refused", "--reason", "poison", "--provider", "main"),
        *("--since", "1d2h", "--until", "2026-11-24T09:00:00+01:00", "-o", "json"),
    )
    assert [each["name"] for each in ended.json] == [DELIVERY, DELIVERY]
    wanted = script.requests("ListDeadLetters")[0].filter
    assert list(wanted.states) == [Delivery.STATE_FAILED, AMBIGUOUS]
    assert list(wanted.reasons) == [Delivery.REASON_RECIPIENT_REFUSED, Delivery.REASON_POISON]
    assert (wanted.provider, wanted.campaign) == ("main", "campaigns/order-confirmation")
    ago = before - timedelta(hours=26)
    assert ago <= wanted.from_time.ToDatetime(UTC) <= datetime.now(UTC) - timedelta(hours=26)
    assert wanted.until_time.ToJsonString() == "2026-11-24T08:00:00Z"


async def test_a_redrive_says_how_many_and_what_ambiguous_means(script: Script, cli: Cli) -> None:
    script.on("RedriveDeadLetters", as_if(12, unsure=2))
    ended = await cli(*REDRIVE)
    assert (ended.code, ended.out) == (0, "order-confirmation: 12 sent again\n")
    assert TWICE in ended.err
    only = await cli(*REDRIVE, "--state", "failed")
    assert (only.code, only.err) == (0, "")
    assert (await cli(*REDRIVE, "-o", "json")).json == {"redriven": 12, "skipped": 0}
    assert [list(request.filter.states) for request in acts(script)] == [[], [Delivery.STATE_FAILED], []]


async def test_what_is_left_alone_is_said_and_is_exit_code_1(script: Script, cli: Cli) -> None:
    script.on("RedriveDeadLetters", as_if(12, skipped=3))
    ended = await cli(*REDRIVE)
    assert ended.code == 1
    assert ended.out == "order-confirmation: 12 sent again, 3 left alone (called off, or their time is over)\n"


async def test_a_check_counts_and_changes_nothing(script: Script, cli: Cli) -> None:
    script.on("RedriveDeadLetters", as_if(12, unsure=2, skipped=3))
    script.on("DiscardDeadLetters", DiscardDeadLettersResponse(discarded=15))
    ended = await cli(*REDRIVE, "--check")
    assert ended.code == 1
    assert ended.out == "would be sent again: 12, 3 left alone (called off, or their time is over)\n"
    assert ended.err.startswith("AMBIGUOUS among them: 2; ")
    assert TWICE in ended.err
    document = (await cli(*REDRIVE, "--check", "-o", "json")).json
    assert document == {"checked": True, "redriven": 12, "ambiguous": 2, "skipped": 3}
    ended = await cli(*DISCARD, "--check")
    assert (ended.code, ended.out) == (0, "would be discarded: 15\n")
    assert (await cli(*DISCARD, "--check", "-o", "json")).json == {"checked": True, "discarded": 15}
    assert acts(script) == acts(script, "DiscardDeadLetters") == []


async def test_named_deliveries_are_redriven_and_those_that_are_no_dead_letters_are_said(
    script: Script, cli: Cli
) -> None:
    script.on("RedriveDeadLetters", as_if(1))
    other = SHORT_DELIVERY.replace("-17", "-18")
    named = ("--delivery", SHORT_DELIVERY, "--delivery", DELIVERY, "--delivery", other)
    ended = await cli(*REDRIVE, *named, "--state", "failed")
    assert (ended.code, ended.out) == (1, "order-confirmation: 1 sent again\n")
    assert ended.err == "of those that are named, 1 no dead letters, or not of that state, reason or time\n"
    [request] = acts(script)
    assert list(request.filter.deliveries) == [DELIVERY, DELIVERY, DELIVERY.replace("-17", "-18")]
    assert (await cli(*REDRIVE, "--delivery", DELIVERY)).code == 0


async def test_a_discard_takes_a_reason_along(script: Script, cli: Cli) -> None:
    script.on("DiscardDeadLetters", DiscardDeadLettersResponse(discarded=4))
    ended = await cli(*DISCARD, "--reason", "recipient_refused")
    assert (ended.code, ended.out, ended.err) == (0, "order-confirmation: 4 discarded\n", "")
    assert (await cli(*DISCARD, "-o", "json")).json == {"discarded": 4}
    first: DiscardDeadLettersRequest = acts(script, "DiscardDeadLetters")[0]
    assert (first.reason, list(first.filter.reasons)) == ("wrong addresses", [Delivery.REASON_RECIPIENT_REFUSED])


async def test_an_error_in_the_middle_says_how_far_it_got(script: Script, cli: Cli) -> None:
    stopped = Failure(
        code=grpc.StatusCode.FAILED_PRECONDITION,
        reason="CAMPAIGN_STATE",
        message="it is STOPPED",
        metadata={"resource": "campaigns/order-confirmation", "state": "STOPPED"},
    )
    script.on("RedriveDeadLetters", RedriveDeadLettersResponse(redriven=500, next_page_token="a"), stopped)
    ended = await cli(*REDRIVE, "--state", "failed")
    assert ended.code == 5
    assert ended.err.splitlines() == [
        "sent again before this: 500",
        "error: it is STOPPED (CAMPAIGN_STATE)",
        "  to do  nothing: what it owes is not sent any more; "
        "clarion dead-letters discard order-confirmation clears the list",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "welcome", "--state", "sent"],
        ["list", "welcome", "--reason", "expired"],
        ["list", "welcome", "--since", "yesterday"],
        ["list", "welcome", "--until", "2026-11-24"],
        ["redrive", "welcome", "--delivery", "welcome/1"],
        ["discard", "welcome"],
        ["discard", "welcome", "--reason", "no such address"],
    ],
)
async def test_a_wrong_command_line_is_exit_code_2_and_calls_nothing(
    script: Script, cli: Cli, arguments: list[str]
) -> None:
    ended = await cli("dead-letters", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert script.calls == []


async def test_a_delivery_shows_its_provider_and_what_was_done_about_it(script: Script, cli: Cli) -> None:
    now = Timestamp()
    now.GetCurrentTime()
    done = Delivery(redrive_time=now, discard_time=now, discard_reason="a wrong address")
    done.MergeFrom(DEAD)
    script.on("GetDelivery", GetDeliveryResponse(delivery=DEAD), GetDeliveryResponse(delivery=done))
    plain = {line.split()[0] for line in (await cli("deliveries", "get", DELIVERY)).out.splitlines()}
    assert "provider" in plain
    assert not plain & {"redriven", "discarded"}
    rows = dict(line.split(maxsplit=1) for line in (await cli("deliveries", "get", DELIVERY)).out.splitlines())
    assert rows["provider"] == "main"
    assert rows["redriven"]
    assert rows["discarded"].endswith(", because: a wrong address")


class TestAtATerminal:
    @pytest.mark.parametrize(("answer", "done"), [("y", 1), ("yes", 1), ("n", 0), ("", 0), ("of course", 0)])
    async def test_more_than_one_is_asked_about(
        self, script: Script, cli_environment: dict[str, str], answer: str, done: int
    ) -> None:
        script.on("RedriveDeadLetters", as_if(12, unsure=2, skipped=3))
        terminal = await start(cli_environment, *REDRIVE)
        await terminal.until(lambda screen: "[y/N] " in screen)
        assert "AMBIGUOUS among them: 2; " in terminal.screen
        assert "12 dead letters of order-confirmation again, 3 left alone" in " ".join(terminal.screen.split())
        assert acts(script) == []
        terminal.type(f"{answer}\n")
        assert await terminal.ended() == (1 if done else 0)
        assert len(acts(script)) == done
        assert ("12 sent again" if done else "nothing is sent again") in terminal.screen

    async def test_a_discard_of_more_than_one_is_asked_about_too(
        self, script: Script, cli_environment: dict[str, str]
    ) -> None:
        script.on("DiscardDeadLetters", DiscardDeadLettersResponse(discarded=5))
        terminal = await start(cli_environment, *DISCARD)
        await terminal.until(lambda screen: "discard 5 dead letters of order-confirmation for good? [y/N] " in screen)
        terminal.type("n\n")
        assert await terminal.ended() == 0
        assert acts(script, "DiscardDeadLetters") == []

    @pytest.mark.parametrize("dead", [0, 1])
    async def test_one_alone_is_not_asked_about(
        self, script: Script, cli_environment: dict[str, str], dead: int
    ) -> None:
        script.on("RedriveDeadLetters", as_if(dead))
        terminal = await start(cli_environment, *REDRIVE)
        assert await terminal.ended() == 0
        assert f"{dead} sent again" in terminal.screen

    @pytest.mark.parametrize("more", [["--yes"], ["--delivery", DELIVERY, "--delivery", DELIVERY.replace("17", "18")]])
    async def test_nothing_is_asked_where_it_was_said_already(
        self, script: Script, cli_environment: dict[str, str], more: list[str]
    ) -> None:
        script.on("RedriveDeadLetters", as_if(2))
        terminal = await start(cli_environment, *REDRIVE, *more)
        assert await terminal.ended() == 0
        assert "[y/N]" not in terminal.screen
        assert len(script.calls) == 1

    async def test_ctrl_c_at_the_question_does_nothing(self, script: Script, cli_environment: dict[str, str]) -> None:
        script.on("RedriveDeadLetters", as_if(2))
        terminal = await start(cli_environment, *REDRIVE)
        await terminal.until(lambda screen: "[y/N] " in screen)
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.ended() == 130
        assert acts(script) == []
        assert "Traceback" not in terminal.screen

    async def test_ctrl_c_in_the_middle_says_how_far_it_got(
        self, script: Script, cli_environment: dict[str, str]
    ) -> None:
        script.on("RedriveDeadLetters", RedriveDeadLettersResponse(redriven=500, next_page_token="a"), Silence())
        terminal = await start(cli_environment, *REDRIVE, "--yes")
        await script.called("RedriveDeadLetters", 2)
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.ended() == 130
        assert "sent again before this: 500" in terminal.screen
        assert "interrupted; the same command goes on with the rest" in terminal.screen
