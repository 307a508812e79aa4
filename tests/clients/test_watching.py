"""A watch survives its streams without a gap or a repeat."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import grpc
import pytest

import clarion_client
from clarion.v1.trigger_pb2 import DeliveryCounts, Trigger
from clarion.v1.trigger_service_pb2 import WatchTriggerResponse
from clients.scripted_server import Failure, Script, Silence, scripted_server

DRAINING = Failure(code=grpc.StatusCode.UNAVAILABLE, reason="DRAINING", retry_after_s=0.0)
TRIMMED = Failure(code=grpc.StatusCode.OUT_OF_RANGE, reason="HISTORY_TRIMMED")
HEARTBEAT = WatchTriggerResponse(heartbeat=WatchTriggerResponse.Heartbeat(), resume_token="h")


def snapshot(token: str) -> WatchTriggerResponse:
    return WatchTriggerResponse(snapshot=Trigger(name="t"), resume_token=token)


def change(token: str, sent: int) -> WatchTriggerResponse:
    return WatchTriggerResponse(
        change=WatchTriggerResponse.Change(counts=DeliveryCounts(accepted=3, sent=sent)), resume_token=token
    )


async def tokens(clarion: clarion_client.Clarion, **more: Any) -> list[str]:
    return [step.resume_token async for step in clarion.watch_trigger("welcome/t", **more)]


async def test_a_watch_ends_when_its_stream_ends(script: Script, clarion: clarion_client.Clarion) -> None:
    script.on("WatchTrigger", [snapshot("1"), HEARTBEAT, change("2", 3)])
    assert await tokens(clarion) == ["1", "2"]
    assert script.requests("WatchTrigger")[0].name == "campaigns/welcome/triggers/t"


async def test_a_broken_stream_is_resumed_behind_its_last_answer(
    script: Script, clarion: clarion_client.Clarion
) -> None:
    script.on("WatchTrigger", [snapshot("1"), change("2", 1), DRAINING], DRAINING, [change("3", 2), change("4", 3)])
    assert await tokens(clarion) == ["1", "2", "3", "4"]
    assert [request.resume_token for request in script.requests("WatchTrigger")] == ["", "2", "2"]


async def test_a_heartbeat_moves_the_place_to_resume_from(script: Script, clarion: clarion_client.Clarion) -> None:
    script.on("WatchTrigger", [snapshot("1"), HEARTBEAT, DRAINING], [change("2", 3)])
    assert await tokens(clarion) == ["1", "2"]
    assert script.requests("WatchTrigger")[1].resume_token == "h"


async def test_a_trimmed_history_starts_over_with_a_snapshot(script: Script, clarion: clarion_client.Clarion) -> None:
    script.on("WatchTrigger", [snapshot("1"), DRAINING], [TRIMMED], [snapshot("8"), change("9", 3)])
    assert await tokens(clarion) == ["1", "8", "9"]
    assert [request.resume_token for request in script.requests("WatchTrigger")] == ["", "1", ""]


async def test_a_watch_goes_on_behind_a_given_token(script: Script, clarion: clarion_client.Clarion) -> None:
    script.on("WatchTrigger", [change("6", 3)])
    assert await tokens(clarion, resume_token="5") == ["6"]
    assert script.requests("WatchTrigger")[0].resume_token == "5"


async def test_a_watch_finds_the_restarted_server(script: Script) -> None:
    retry = clarion_client.RetryConfig(initial_backoff_s=0.01, watch_patience_s=20)
    async with scripted_server() as first, clarion_client.connect(first.target, retry=retry) as clarion:
        first.on("WatchTrigger", [snapshot("1"), Silence()])
        port = int(first.target.rpartition(":")[2])
        async with aclosing(clarion.watch_trigger("welcome/t")) as steps:
            assert (await anext(steps)).resume_token == "1"
            await first.stop()
            async with scripted_server(port) as second:
                second.on("WatchTrigger", [change("2", 3)])
                assert [step.resume_token async for step in steps] == ["2"]
                assert second.requests("WatchTrigger")[0].resume_token == "1"


async def test_a_silent_stream_counts_as_broken(script: Script) -> None:
    script.on("WatchTrigger", [snapshot("1"), Silence()], [change("2", 3)])
    retry = clarion_client.RetryConfig(initial_backoff_s=0.001, watch_silence_s=0.05)
    async with clarion_client.connect(script.target, retry=retry) as clarion:
        assert await tokens(clarion) == ["1", "2"]


async def test_a_watch_gives_up_when_its_patience_ends(script: Script) -> None:
    script.on("WatchTrigger", DRAINING)
    retry = clarion_client.RetryConfig(initial_backoff_s=0.01, watch_patience_s=0.1)
    async with clarion_client.connect(script.target, retry=retry) as clarion:
        with pytest.raises(clarion_client.Unavailable):
            await tokens(clarion)
    assert len(script.calls) > 1


async def test_an_unknown_trigger_is_not_found_at_once(script: Script, clarion: clarion_client.Clarion) -> None:
    script.on("WatchTrigger", Failure(code=grpc.StatusCode.NOT_FOUND, reason="TRIGGER_NOT_FOUND"))
    with pytest.raises(clarion_client.NotFound):
        await tokens(clarion)
    assert len(script.calls) == 1
