"""`clarion trigger --file`: a trigger a line, safe to run again."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
from pathlib import Path
from typing import Any

import grpc
import pytest

from clarion.v1.trigger_pb2 import DeliveryCounts, Trigger
from clarion.v1.trigger_service_pb2 import CreateTriggerRequest, CreateTriggerResponse, WatchTriggerResponse
from clarion_client.cli import bulk
from clients.conftest import Cli, command_line
from clients.scripted_server import Failure, Script, Silence


def order(number: int) -> dict[str, Any]:
    person = {"user_id": str(number), "addresses": {"email": f"p{number}@example.com"}}
    return {"recipients": [person], "context": {"order_id": f"A-{number}"}}


def write(path: Path, lines: list[Any]) -> Path:
    path.write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines) + "\n")
    return path


def accept(request: CreateTriggerRequest) -> Any:
    """As a server would: refuses orders without a number."""
    if "order_id" not in request.context:
        return Failure(
            code=grpc.StatusCode.INVALID_ARGUMENT,
            reason="RECIPIENTS_REFUSED",
            violations=[("recipients[0].context.order_id", "is required")],
        )
    name = f"campaigns/welcome/triggers/{request.context['order_id'].lower()}"
    counts = DeliveryCounts(accepted=len(request.recipients))
    return CreateTriggerResponse(trigger=Trigger(name=name, counts=counts))


def check(request: CreateTriggerRequest) -> Any:
    """As a server would answer a request that it only validates: without a name."""
    answer = accept(request)
    if isinstance(answer, CreateTriggerResponse):
        answer.trigger.name = ""
    return answer


async def test_every_line_is_a_trigger(script: Script, cli: Cli, tmp_path: Path) -> None:
    script.on("CreateTrigger", accept)
    path = write(tmp_path / "orders.jsonl", [*(order(n) for n in range(100)), ""])
    ended = await cli("trigger", "welcome", "--file", path, "-o", "json")
    assert ended.code == 0
    assert (ended.json["lines"], ended.json["accepted"], ended.json["refused"]) == (100, 100, 0)
    assert len(set(ended.json["triggers"])) == 100
    sent = {request.context["order_id"] for request in script.requests("CreateTrigger")}
    assert sent == {f"A-{n}" for n in range(100)}


async def test_refusals_are_counted_and_grouped_by_reason(script: Script, cli: Cli, tmp_path: Path) -> None:
    script.on("CreateTrigger", accept)
    nameless = [order(n) | {"context": {}} for n in (1, 2)]
    lines = [order(0), *nameless, "{not json", {"recipient": []}, order(3) | {"contxt": {}}]
    ended = await cli("trigger", "welcome", "--file", write(tmp_path / "orders.jsonl", lines), "-o", "json")
    assert ended.code == 1
    assert (ended.json["accepted"], ended.json["refused"]) == (1, 5)
    assert ended.json["reasons"][0] == {
        "field": "context.order_id", "description": "is required", "count": 2, "first_line": 2,
    }  # fmt: skip
    others = {reason["first_line"]: reason["description"] for reason in ended.json["reasons"][1:]}
    assert others[4].startswith("not JSON")
    assert "recipients" in others[5]
    assert "contxt" in others[6]


async def test_a_line_may_say_its_expiry_and_its_ordering_key(script: Script, cli: Cli, tmp_path: Path) -> None:
    script.on("CreateTrigger", accept)
    lines = [
        order(1) | {"expire_time": "2026-11-24T09:00:00+01:00", "ordering_key": "account-7"},
        order(2),
        order(3) | {"expire_time": "tomorrow"},
        order(4) | {"expire_time": None},
        order(5) | {"ordering_key": 7},
    ]
    ended = await cli("trigger", "welcome", "--file", write(tmp_path / "orders.jsonl", lines), "-o", "json")
    assert (ended.code, ended.json["accepted"], ended.json["refused"]) == (1, 2, 3)
    found = {request.context["order_id"]: request for request in script.requests("CreateTrigger")}
    assert found["A-1"].expire_time.ToJsonString() == "2026-11-24T08:00:00Z"
    assert (found["A-1"].ordering_key, found["A-2"].ordering_key) == ("account-7", "")
    assert not found["A-2"].HasField("expire_time")
    reasons = {reason["first_line"]: reason["description"] for reason in ended.json["reasons"]}
    assert reasons == {
        3: '"expire_time": an instant is written with its time zone, like 2026-11-24T08:00:00Z or '
        "2026-11-24T09:00:00+01:00",
        5: '"ordering_key" must be text',
    }


async def test_lines_of_one_key_and_person_are_triggered_in_the_order_of_the_file(
    script: Script, cli: Cli, tmp_path: Path
) -> None:
    accepted: list[int] = []

    async def accept_later(request: CreateTriggerRequest) -> Any:
        """Some take longer than others, so that whoever does not wait for the line before overtakes it."""
        number = int(request.context["order_id"].rpartition("-")[2])
        for _ in range(random.Random(number).randrange(1000)):
            await asyncio.sleep(0)
        accepted.append(number)
        return accept(request)

    script.on("CreateTrigger", accept_later)
    people = [{"user_id": name, "addresses": {"email": f"{name}@example.com"}} for name in ("ana", "bea", "cyd")]
    lines = [
        {"recipients": [people[n % 2], people[2]] if n % 5 == 0 else [people[n % 2]], "context": {"order_id": f"A-{n}"}}
        | ({"ordering_key": f"k-{n % 3}"} if n % 7 else {})
        for n in range(80)
    ]
    ended = await cli("trigger", "welcome", "--file", write(tmp_path / "orders.jsonl", lines), "-o", "json")
    assert (ended.code, ended.json["lines"]) == (0, 80)
    assert accepted != sorted(accepted)  # the others are not held up
    for key, person in itertools.product(range(3), ("ana", "bea", "cyd")):
        in_line = [
            number
            for number in accepted
            if lines[number].get("ordering_key") == f"k-{key}"
            and person in [each["user_id"] for each in lines[number]["recipients"]]
        ]
        assert len(in_line) > 1
        assert in_line == sorted(in_line)


async def test_behind_a_line_that_met_an_error_nobody_of_its_key_goes(script: Script, cli: Cli, tmp_path: Path) -> None:
    failing = Failure(code=grpc.StatusCode.INTERNAL, reason="INTERNAL")
    script.on("CreateTrigger", lambda request: failing if request.context["order_id"] == "A-0" else accept(request))
    person = {"user_id": "ana", "addresses": {"email": "ana@example.com"}}
    lines = [order(n) | {"recipients": [person], "ordering_key": "k"} for n in range(20)]
    ended = await cli("trigger", "welcome", "--file", write(tmp_path / "orders.jsonl", lines))
    assert ended.code == 70
    assert [request.context["order_id"] for request in script.requests("CreateTrigger")] == ["A-0"]


async def test_people_see_progress_and_a_summary(script: Script, cli: Cli, tmp_path: Path) -> None:
    script.on("CreateTrigger", accept)
    lines = [*(order(n) for n in range(20)), order(1) | {"context": {}}]
    ended = await cli("trigger", "welcome", "--file", write(tmp_path / "orders.jsonl", lines))
    assert "of 21 lines triggered; recipients refused: " in ended.err
    assert [line.split() for line in ended.out.splitlines()] == [
        ["lines", "21"],
        ["accepted", "20"],
        ["refused", "1"],
        ["COUNT", "FIRST", "LINE", "FIELD", "REASON"],
        ["1", "21", "context.order_id", "is", "required"],
    ]


async def test_running_the_same_file_again_repeats_the_request_ids(script: Script, cli: Cli, tmp_path: Path) -> None:
    script.on("CreateTrigger", accept)
    path = write(tmp_path / "orders.jsonl", [order(1), order(2)])
    for more in ([], [], ["--again"]):
        await cli("trigger", "welcome", "--file", path, *more)
    ids = [request.request_id for request in script.requests("CreateTrigger")]
    assert set(ids[:2]) == set(ids[2:4])
    assert len(set(ids)) == 4


async def test_a_new_run_says_its_id_and_can_be_gone_on_with(script: Script, cli: Cli, tmp_path: Path) -> None:
    script.on("CreateTrigger", accept)
    path = write(tmp_path / "orders.jsonl", [order(1), order(2)])
    begun = await cli("trigger", "welcome", "--file", path, "--again", "-o", "json")
    run_id = begun.json["run_id"]
    assert f"--run-id {run_id} goes on with it" in begun.err
    await cli("trigger", "welcome", "--file", path, "--run-id", run_id)
    await cli("trigger", "welcome", "--file", path, "--run-id", "another")
    ids = [request.request_id for request in script.requests("CreateTrigger")]
    assert set(ids[:2]) == set(ids[2:4])
    assert len(set(ids)) == 4


async def test_lines_that_an_earlier_run_triggered_are_counted(script: Script, cli: Cli, tmp_path: Path) -> None:
    trigger = Trigger(name="campaigns/welcome/triggers/a-1", counts=DeliveryCounts(accepted=1))
    script.on("CreateTrigger", CreateTriggerResponse(trigger=trigger, replayed=True))
    call = ("trigger", "welcome", "--file", write(tmp_path / "orders.jsonl", [order(1), order(2)]))
    assert (await cli(*call)).out.splitlines()[:2] == ["lines     2", "replayed  2 lines that an earlier run triggered"]
    assert (await cli(*call, "-o", "json")).json["replayed"] == 2


async def test_a_check_of_a_file_triggers_nothing(script: Script, cli: Cli, tmp_path: Path) -> None:
    script.on("CreateTrigger", check)
    path = write(tmp_path / "orders.jsonl", [order(1), order(2), order(3) | {"context": {}}])
    ended = await cli("trigger", "welcome", "--file", path, "--check")
    assert ended.code == 1
    assert [line.split() for line in ended.out.splitlines()[:3]] == [
        ["lines", "3", "checked,", "nothing", "is", "triggered"],
        ["would", "accept", "2"],
        ["would", "refuse", "1"],
    ]
    document = (await cli("trigger", "welcome", "--file", path, "--check", "-o", "json")).json
    assert (document["checked"], document["accepted"], document["triggers"]) == (True, 2, [])
    assert all(request.validate_only for request in script.requests("CreateTrigger"))


async def test_a_file_without_an_accepted_line_is_exit_code_4(script: Script, cli: Cli, tmp_path: Path) -> None:
    script.on("CreateTrigger", accept)
    lines = [order(1) | {"context": {}}, "{not json"]
    ended = await cli("trigger", "welcome", "--file", write(tmp_path / "orders.jsonl", lines), "-o", "json")
    assert (ended.code, ended.json["refused"]) == (4, 2)


async def test_a_file_without_a_line_is_warned_about(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path / "orders.jsonl", ["", "  "])
    ended = await cli("trigger", "welcome", "--file", path)
    assert (ended.code, ended.err) == (0, f"warning: {path} has no line: nothing to trigger\n")


def test_a_request_id_depends_on_file_line_and_content(tmp_path: Path) -> None:
    first = bulk.request_id(tmp_path / "a", 1, "x")
    assert first == bulk.request_id(tmp_path / "b" / ".." / "a", 1, "x")
    others = {bulk.request_id(tmp_path / "b", 1, "x"), bulk.request_id(tmp_path / "a", 2, "x")}
    assert first not in others | {bulk.request_id(tmp_path / "a", 1, "y")}


async def test_watch_adds_up_what_became_of_every_recipient(script: Script, cli: Cli, tmp_path: Path) -> None:
    script.on("CreateTrigger", accept)
    done = Trigger(counts=DeliveryCounts(accepted=1, sent=1), state=Trigger.STATE_COMPLETED)
    lost = Trigger(counts=DeliveryCounts(accepted=1, failed=1), state=Trigger.STATE_COMPLETED)
    script.on("WatchTrigger", [WatchTriggerResponse(snapshot=lost)], [WatchTriggerResponse(snapshot=done)])
    path = write(tmp_path / "orders.jsonl", [order(n) for n in range(5)])
    ended = await cli("trigger", "welcome", "--file", path, "--watch", "-o", "json")
    assert ended.code == 1
    assert {name: ended.json["counts"][name] for name in ("accepted", "sent", "failed")} == {
        "accepted": "5", "sent": "4", "failed": "1",
    }  # fmt: skip


async def test_a_paused_campaign_ends_the_run_at_once(script: Script, cli: Cli, tmp_path: Path) -> None:
    script.on("CreateTrigger", Failure(code=grpc.StatusCode.FAILED_PRECONDITION, reason="CAMPAIGN_STATE"))
    path = write(tmp_path / "orders.jsonl", [order(n) for n in range(200)])
    ended = await cli("trigger", "welcome", "--file", path)
    assert ended.code == 5
    assert "0 of 200 lines were triggered before this" in ended.err
    assert len(script.calls) <= bulk.CONCURRENCY


@pytest.mark.parametrize(
    ("more", "onwards"),
    [([], "run the same command to go on"), (["--run-id", "r-1"], "run the command with --run-id r-1 to go on")],
)
async def test_ctrl_c_says_how_to_go_on(
    script: Script, cli_environment: dict[str, str], tmp_path: Path, more: list[str], onwards: str
) -> None:
    script.on("CreateTrigger", Silence())
    path = write(tmp_path / "orders.jsonl", [order(n) for n in range(50)])
    process = await asyncio.create_subprocess_exec(
        *command_line("trigger", "welcome", "--file", path, *more),
        stderr=asyncio.subprocess.PIPE,
        env=cli_environment,
    )
    await script.called("CreateTrigger", bulk.CONCURRENCY)
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == 130
    assert "0 of 50 lines were triggered before this" in err.decode()
    assert f"{onwards}: lines that were accepted are not triggered twice" in err.decode()
    assert "Traceback" not in err.decode()


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
async def test_an_unreadable_file_is_exit_code_4(cli: Cli, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "orders.jsonl"
    if content is not None:
        path.write_bytes(content)
    ended = await cli("trigger", "welcome", "--file", path)
    assert ended.code == 4
    assert str(path) in ended.err


async def test_a_trigger_that_vanishes_while_watched_is_an_error_block(
    script: Script, cli: Cli, tmp_path: Path
) -> None:
    script.on("CreateTrigger", accept)
    script.on("WatchTrigger", Failure(code=grpc.StatusCode.NOT_FOUND, reason="TRIGGER_NOT_FOUND"))
    path = write(tmp_path / "orders.jsonl", [order(n) for n in range(3)])
    ended = await cli("trigger", "welcome", "--file", path, "--watch")
    assert ended.code == 3
    assert "error: no (TRIGGER_NOT_FOUND)" in ended.err
