"""`clarion workers` as people and scripts meet it, and the client below it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

import clarion_client
from clarion.v1.worker_pb2 import Batch, Lane, Throttle, Worker
from clarion.v1.worker_service_pb2 import (
    ClearThrottleResponse,
    DrainWorkerResponse,
    ListBatchesResponse,
    ListLanesResponse,
    ListThrottlesResponse,
    ListWorkersResponse,
    PauseLaneResponse,
    ResumeLaneResponse,
    SetThrottleResponse,
)
from clients.conftest import Cli
from clients.scripted_server import Failure, Script, grpc

NOW = Timestamp(seconds=int(time.time()))
MILL = Worker(
    name="workers/mill-4711-0a1b2c",
    state=Worker.STATE_WORKING,
    host="mill",
    pid=4711,
    version="0.1.0",
    lanes=["lanes/transactional", "lanes/marketing"],
    deliveries_in_flight=28,
    batches_in_hand=2,
    rate_per_s=1234.5,
    start_time=NOW,
    heartbeat_time=NOW,
    heartbeat_age_s=0.25,
)
LANE = Lane(name="lanes/marketing", batches_waiting=12, batches_due=3, batches_in_hand=4, oldest_due_age_s=1.5)
PAUSED = Lane(name="lanes/marketing", paused=True)
STUCK = Batch(
    id="001m884kq00kbmftj39v7.0",
    state=Batch.STATE_STUCK,
    workspace="default",
    campaign="campaigns/welcome",
    lane="lanes/transactional",
    worker="workers/mill-4711-0a1b2c",
    lease_end_time=NOW,
    deliveries_open=100,
    epoch=3,
    crashes=2,
)
LIMIT = Throttle(name="campaigns/welcome", workspace="default", rate_per_s=2.5, burst=3)


async def test_workers_are_listed_where_nothing_else_is_asked(script: Script, cli: Cli) -> None:
    script.on("ListWorkers", ListWorkersResponse(workers=[MILL]))
    for command in (("workers",), ("workers", "list")):
        ended = await cli(*command)
        heading, row = ended.out.splitlines()
        assert heading.split()[:4] == ["WORKER", "STATE", "HOST", "PID"]
        words = row.split()
        assert words[:5] == ["mill-4711-0a1b2c", "WORKING", "mill", "4711", "0.1.0"]
        assert words[5:10] == ["transactional,", "marketing", "28", "2", "1,234.5"]
        assert row.endswith("0.2 s ago")
        assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize("command", [("workers",), ("workers", "list")])
async def test_workers_are_a_json_array_for_scripts(script: Script, cli: Cli, command: tuple[str, ...]) -> None:
    script.on("ListWorkers", ListWorkersResponse(workers=[MILL]))
    (worker,) = (await cli(*command, "--output", "json")).json
    assert worker["name"] == "workers/mill-4711-0a1b2c"
    assert (worker["state"], worker["pid"], worker["heartbeat_age_s"]) == ("STATE_WORKING", 4711, 0.25)
    assert worker["deliveries_in_flight"] == 28


async def test_nobody_at_work_is_said_beside_the_result(script: Script, cli: Cli) -> None:
    script.on("ListWorkers", ListWorkersResponse())
    assert (await cli("workers")).err == "no workers: nothing is being sent\n"
    assert (await cli("workers", "-o", "json")).json == []


async def test_help_and_wrong_commands_are_the_groups_own(script: Script, cli: Cli) -> None:
    told = await cli("workers", "--help")
    assert told.code == 0
    assert "pause-lane" in told.out
    wrong = await cli("workers", "lans")
    assert wrong.code == 2
    assert "lans" in wrong.err
    assert script.calls == []


async def test_lanes_tell_what_waits_and_since_when(script: Script, cli: Cli) -> None:
    script.on("ListLanes", ListLanesResponse(lanes=[LANE, PAUSED]))
    heading, first, second = (await cli("workers", "lanes")).out.splitlines()
    assert heading.split() == ["LANE", "STATE", "WAITING", "DUE", "OLDEST", "DUE", "IN", "HAND"]
    assert first.split() == ["marketing", "OPEN", "12", "3", "1.5", "s", "4"]
    assert second.split() == ["marketing", "PAUSED", "0", "0", "0"]
    lane, _ = (await cli("workers", "lanes", "-o", "json")).json
    assert (lane["batches_due"], lane["oldest_due_age_s"], lane["paused"]) == (3, 1.5, False)


async def test_stuck_batches_are_asked_for(script: Script, cli: Cli) -> None:
    script.on(
        "ListBatches",
        ListBatchesResponse(batches=[], next_page_token="more"),
        ListBatchesResponse(batches=[STUCK]),
    )
    _, row = (await cli("workers", "batches", "--stuck")).out.splitlines()
    words = row.split()
    assert words[:7] == [STUCK.id, "STUCK", "default/welcome", "transactional", "100", "3", "2"]
    assert "mill-4711-0a1b2c" in words
    assert [request.stuck_only for request in script.requests("ListBatches")] == [True, True]
    script.replace("ListBatches", ListBatchesResponse())
    assert (await cli("workers", "batches", "--stuck")).err == "no batch is stuck\n"
    assert (await cli("workers", "batches")).err == "no open batches\n"
    assert not script.requests("ListBatches")[-1].stuck_only


async def test_a_worker_is_drained_by_the_name_that_the_list_shows(script: Script, cli: Cli) -> None:
    draining = Worker(name=MILL.name, state=Worker.STATE_DRAINING, start_time=NOW)
    script.on("DrainWorker", DrainWorkerResponse(worker=draining), DrainWorkerResponse(replayed=True))
    ended = await cli("workers", "drain", "mill-4711-0a1b2c")
    assert (ended.code, ended.out) == (0, "mill-4711-0a1b2c drains, and ends then\n")
    assert (await cli("workers", "drain", MILL.name)).out == "mill-4711-0a1b2c has ended\n"
    first, second = script.requests("DrainWorker")
    assert first.name == second.name == MILL.name
    assert first.request_id != second.request_id


async def test_a_lane_is_paused_and_resumed(script: Script, cli: Cli) -> None:
    script.on("PauseLane", PauseLaneResponse(lane=PAUSED))
    script.on("ResumeLane", ResumeLaneResponse(lane=LANE))
    paused = await cli("workers", "pause-lane", "marketing")
    assert paused.out == "marketing is paused: workers leave it alone within a second\n"
    assert (await cli("workers", "resume-lane", "lanes/marketing")).out == "marketing is not paused\n"
    assert (await cli("workers", "resume-lane", "marketing", "-o", "json")).json["paused"] is False
    assert {request.name for request in script.requests("ResumeLane")} == {"lanes/marketing"}


async def test_throttles_are_set_listed_and_cleared(script: Script, cli: Cli) -> None:
    script.on("SetThrottle", SetThrottleResponse(throttle=LIMIT))
    script.on("ListThrottles", ListThrottlesResponse(throttles=[LIMIT]))
    script.on("ClearThrottle", ClearThrottleResponse())
    told = await cli("workers", "throttle", "set", "campaigns/welcome", "2.5", "--burst", "3")
    assert told.out == "campaigns/welcome: 2.5 deliveries a second, 3 at once\n"
    (request,) = script.requests("SetThrottle")
    assert (request.name, request.rate_per_s, request.burst) == ("campaigns/welcome", 2.5, 3)
    _, row = (await cli("workers", "throttle", "list")).out.splitlines()
    assert row.split() == ["campaigns/welcome", "default", "2.5", "3"]
    cleared = await cli("workers", "throttle", "clear", "campaigns/welcome")
    assert cleared.out == "campaigns/welcome: the configured limit holds again\n"
    assert (await cli("workers", "throttle", "clear", "campaigns/welcome", "-o", "json")).json == {}


@pytest.mark.parametrize(
    "name",
    [
        "channels/webhook",
        "channels/email/providers/smtp",
        "channelConfigurations/orders-sms",
        "channelConfigurations/orders-sms/providers/main",
    ],
)
async def test_a_throttle_is_for_whatever_may_have_a_limit(script: Script, cli: Cli, name: str) -> None:
    script.on("SetThrottle", SetThrottleResponse(throttle=Throttle(name=name, rate_per_s=1, burst=1)))
    told = await cli("workers", "throttle", "set", name, "1")
    assert told.out == f"{name}: 1 deliveries a second, 1 at once\n"
    assert script.requests("SetThrottle")[0].name == name


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("drain", "workers/a/b"), "a worker's name is what"),
        (("pause-lane", "Marketing"), "a lane's name is what"),
        (("throttle", "set", "welcome", "5"), "a throttle is for campaigns/order-confirmation"),
        (("throttle", "set", "channels/fax", "5"), "channelConfigurations/orders-sms/providers/main"),
        (("throttle", "clear", "providers/main"), "a throttle is for campaigns/order-confirmation"),
        (("throttle", "set", "channels/email", "0.05"), "0.1"),
    ],
)
async def test_a_name_or_number_that_cannot_be_is_refused_before_it_is_sent(
    script: Script, cli: Cli, arguments: tuple[str, ...], says: str
) -> None:
    ended = await cli("workers", *arguments)
    assert ended.code == 2
    assert says in " ".join(ended.err.replace("│", " ").split())
    assert script.calls == []


@pytest.mark.parametrize(
    ("method", "reason", "arguments", "hint"),
    [
        ("DrainWorker", "WORKER_NOT_FOUND", ("drain", "nobody"), "`clarion workers` shows"),
        ("PauseLane", "LANE_NOT_FOUND", ("pause-lane", "express"), "`clarion workers lanes`"),
        (
            "SetThrottle",
            "PROVIDER_NOT_FOUND",
            ("throttle", "set", "channelConfigurations/orders-sms/providers/mian", "5"),
            "`clarion channels show`",
        ),
        ("ClearThrottle", "THROTTLE_NOT_FOUND", ("throttle", "clear", "channels/email"), "throttle list"),
    ],
)
async def test_what_there_is_not_ends_with_3_and_says_what_to_do(
    script: Script, cli: Cli, method: str, reason: str, arguments: tuple[str, ...], hint: str
) -> None:
    script.on(method, Failure(code=grpc.StatusCode.NOT_FOUND, reason=reason, message="not found"))
    ended = await cli("workers", *arguments)
    assert ended.code == 3
    assert hint in ended.err


async def test_a_drained_worker_that_has_ended_keeps_its_name(script: Script, clarion: clarion_client.Clarion) -> None:
    script.on("DrainWorker", DrainWorkerResponse(replayed=True))
    worker = await clarion.drain_worker("mill-4711-0a1b2c", request_id="0f4e2c9a-5b1d-4c3e-9a7f-2d6b8e1c0a35")
    assert worker == Worker(name=MILL.name)
    (request,) = script.requests("DrainWorker")
    assert request.request_id == "0f4e2c9a-5b1d-4c3e-9a7f-2d6b8e1c0a35"


async def test_a_repeated_change_carries_the_same_request_id(script: Script, clarion: clarion_client.Clarion) -> None:
    away = Failure(code=grpc.StatusCode.UNAVAILABLE, reason="DRAINING", retry_after_s=0.0)
    script.on("PauseLane", away, PauseLaneResponse(lane=PAUSED))
    assert (await clarion.pause_lane("marketing")).paused
    ids: set[Any] = {request.request_id for request in script.requests("PauseLane")}
    assert len(script.requests("PauseLane")) == 2
    assert len(ids) == 1
