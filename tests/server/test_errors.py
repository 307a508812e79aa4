"""Errors: every one is in the tables, none says more than it should, and nothing a caller does breaks the server."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from structlog.testing import capture_logs

import clarion.v1
from clarion.v1 import campaign_service_pb2, error_reason_pb2, trigger_service_pb2
from clarion_core.domain import errors
from clarion_core.store.store import Store
from clarion_server import failures
from support.clarion import CAMPAIGN, Clarion, a_trigger
from support.refusal import CARRIES, PREFIX, refusal_of, refused

CONTRACT = Path(clarion.v1.__path__[0]).parents[2] / "clarion" / "v1" / "error_reason.proto"
CANARY = "canary-4711"


def classes(base: type[errors.ClarionError] = errors.ClarionError) -> Iterator[type[errors.ClarionError]]:
    for cls in base.__subclasses__():
        if cls.__module__ == errors.__name__:
            yield cls
            yield from classes(cls)


def is_raised(cls: type[errors.ClarionError]) -> bool:
    return cls.reason != errors.ClarionError.reason


RAISED = [cls for cls in classes() if is_raised(cls)]


def instance(cls: type[errors.ClarionError]) -> errors.ClarionError:
    """One of the class, by what its constructor asks for."""
    if issubclass(cls, errors.Invalid):
        return cls.of([errors.FieldProblem(path="field", description="is wrong")])
    values: dict[str, Any] = {"allowed": ["LIVE"], "limit": 10, "used": 9, "waited_s": 5.0}
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    positional = [values.get(p.name, "x") for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    named = {p.name: values.get(p.name, "x") for p in parameters if p.kind is p.KEYWORD_ONLY}
    return cls(*positional, **named)


def documented() -> dict[str, str]:
    """The comment of each reason in the contract."""
    found = re.findall(r"((?:  //[^\n]*\n)+)  (ERROR_REASON_\w+) = \d+;", CONTRACT.read_text("utf-8"))
    return {name.removeprefix(PREFIX): " ".join(comment.split()) for comment, name in found}


@pytest.mark.parametrize("cls", RAISED, ids=lambda cls: cls.__name__)
def test_every_error_has_a_code_a_reason_and_the_details_of_its_code(cls: type[errors.ClarionError]) -> None:
    error = instance(cls)
    code = failures.code_of(error)
    status = failures.status_of(error)
    assert code is not StatusCode.INTERNAL
    assert status.code == code.value[0]
    assert error_reason_pb2.ErrorReason.Value(PREFIX + cls.reason)
    kinds = [detail.TypeName().rpartition(".")[2] for detail in status.details]
    assert kinds[0] == "ErrorInfo"
    assert sorted(kinds) == sorted({"ErrorInfo"} | CARRIES[code])
    assert code.name in documented()[cls.reason]


def test_every_reason_of_the_contract_is_raised() -> None:
    names = error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name
    reasons = {name.removeprefix(PREFIX) for name in names} - {"UNSPECIFIED"}
    assert {cls.reason for cls in RAISED} | {"INTERNAL"} == reasons
    assert documented().keys() == reasons | {"UNSPECIFIED"}


async def test_a_defect_is_internal_with_an_id_and_keeps_its_text(clarion: Clarion, store: Store) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger()
    trigger_id = trigger.name.rpartition("/")[2]
    # A record that nobody wrote: reading it is an error with the canary in its text.
    await store.command("HSET", f"clarion:{{0}}:t:{trigger_id}", "st", CANARY)

    async def watch() -> None:
        async for _ in clarion.triggers.WatchTrigger(trigger_service_pb2.WatchTriggerRequest(name=trigger.name)):
            pass

    for call in (clarion.triggers.GetTrigger(trigger_service_pb2.GetTriggerRequest(name=trigger.name)), watch()):
        with capture_logs() as lines:
            error = await refused(call)
        assert error.says == (StatusCode.INTERNAL, "INTERNAL")
        assert CANARY not in repr(error)
        error_id = error.details["RequestInfo"].request_id
        assert error.metadata == {"error_id": error_id}
        assert error_id in error.message
        [line] = [line for line in lines if line["event"] == "call_failed"]
        assert line["error_id"] == error_id
        assert CANARY in str(line["exc_info"])


async def test_an_error_after_the_first_step_ends_a_stream_as_it_ends_a_call(clarion: Clarion, store: Store) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger()
    stream = clarion.triggers.WatchTrigger(trigger_service_pb2.WatchTriggerRequest(name=trigger.name))
    assert (await stream.read()).HasField("snapshot")
    row = f"R;1;1,1,0,0,0,0,0,0;{'0' * 21};0:Q:0:{CANARY}:"  # a reason that is none
    await store.command("XADD", "clarion:{0}:ev", "*", trigger.name.rpartition("/")[2], row)
    error = await refused(stream.read())
    assert error.says == (StatusCode.INTERNAL, "INTERNAL")
    assert CANARY not in repr(error)


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff", b"\x0a\x02\xff\xfe", b"\x0a\xff\xff\xff\xff\x0f", b"\x1a" + b"\x0a" * 300],
    ids=["noise", "not utf-8", "cut off", "nested"],
)
@pytest.mark.parametrize("method", ["TriggerService/CreateTrigger", "CampaignService/UpdateCampaign"])
async def test_bytes_that_are_no_request_are_the_caller_s_error(clarion: Clarion, method: str, data: bytes) -> None:
    channel = await clarion.channel(clarion.server)
    error = await refused(channel.unary_unary(f"/clarion.v1.{method}")(data))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert list(error.violations) == ["request"]

    stream = channel.unary_stream("/clarion.v1.TriggerService/WatchTrigger")(data)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert refusal_of(caught.value) == error


async def test_a_method_that_is_none_is_unimplemented(clarion: Clarion) -> None:
    channel = await clarion.channel(clarion.server)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary("/clarion.v1.TriggerService/Nothing")(b"")
    assert caught.value.code() is StatusCode.UNIMPLEMENTED


async def test_every_way_to_fail_gives_its_place_back(clarion: Clarion) -> None:
    server = await clarion.serve(max_calls=1)
    channel = await clarion.channel(server)
    triggers, campaigns = type(clarion.triggers)(channel), type(clarion.campaigns)(channel)
    await clarion.live_campaign()
    for _ in range(3):
        await refused(triggers.CreateTrigger(a_trigger(0)))
        await refused(triggers.CreateTrigger(a_trigger(campaign="campaigns/nothing")))
        await refused(channel.unary_unary("/clarion.v1.TriggerService/CreateTrigger")(b"\xff"))
        bad = (("x-clarion-workspace", "!"),)
        await refused(campaigns.ListCampaigns(campaign_service_pb2.ListCampaignsRequest(), metadata=bad))
        with pytest.raises(grpc.aio.AioRpcError):
            await triggers.CreateTrigger(a_trigger(1000), timeout=0.002)
        while await is_overloaded(triggers.CreateTrigger(a_trigger())):
            pass  # until the server has seen the one with the deadline go
    get = campaign_service_pb2.GetCampaignRequest(name=CAMPAIGN)
    assert (await campaigns.GetCampaign(get)).campaign.name == CAMPAIGN


async def is_overloaded(call: Any) -> bool:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return refusal_of(error).reason == "OVERLOADED"
    return False
