"""Health and reflection as probes and people at a shell use them; `buf curl` stands in for grpcurl."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from clarion.v1 import trigger_service_pb2 as pb
from clarion_server.app import SERVICES
from support.clarion import CAMPAIGN, Clarion

BUF = Path(sys.executable).with_name("buf")
NOT_FOUND = 8 * grpc.StatusCode.NOT_FOUND.value[0]  # buf curl's exit code is eight times the call's


async def buf_curl(clarion: Clarion, method: str, body: Any, *options: str) -> tuple[int, Any, str]:
    """Call a method with nothing but reflection: exit code, answer, and what was said on stderr."""
    data = ["--data", json.dumps(body)] if body is not None else []
    url = f"http://{clarion.target}/{method}"
    command = [BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", *options, *data, url]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, json.loads(out) if out.strip() else None, err.decode()


async def test_every_service_is_serving_by_name(clarion: Clarion) -> None:
    stub = health_pb2_grpc.HealthStub(await clarion.channel(clarion.server))
    for service in ("", "liveness", *SERVICES):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(health_pb2.HealthCheckRequest(service="clarion.v1.Nothing"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_trigger_can_be_made_with_nothing_but_reflection(clarion: Clarion) -> None:
    await clarion.live_campaign()
    recipient = {"user_id": "ana", "addresses": {"email": "ana@example.com"}, "profile": {"name": "Ana"}}
    body = {"campaign": CAMPAIGN, "recipients": [recipient]}
    code, answer, said = await buf_curl(clarion, "clarion.v1.TriggerService/CreateTrigger", body)
    assert (code, said) == (0, "")
    assert answer["trigger"]["state"] == "STATE_RUNNING"
    name = answer["trigger"]["name"]
    assert (await clarion.triggers.GetTrigger(pb.GetTriggerRequest(name=name))).trigger.counts.accepted == 1


async def test_the_workspace_is_a_header(clarion: Clarion) -> None:
    header = ("--header", "x-clarion-workspace: team-a")
    body = {"name": CAMPAIGN}
    code, _, said = await buf_curl(clarion, "clarion.v1.CampaignService/GetCampaign", body, *header)
    assert code == NOT_FOUND
    error = json.loads(said)
    assert error["code"] == "not_found"
    assert error["message"] == f"{CAMPAIGN}: not found"
    kinds = [detail["type"] for detail in error["details"]]
    assert kinds == ["google.rpc.ErrorInfo", "google.rpc.ResourceInfo"]


async def test_reflection_lists_the_services_and_health_answers_a_shell(clarion: Clarion) -> None:
    code, answer, _ = await buf_curl(clarion, "grpc.health.v1.Health/Check", {"service": SERVICES[0]})
    assert (code, answer) == (0, {"status": "SERVING"})
    command = [
        BUF,
        "curl",
        "--protocol",
        "grpc",
        "--http2-prior-knowledge",
        "--list-methods",
        f"http://{clarion.target}",
    ]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    listed = (await process.communicate())[0].decode().split()
    assert "clarion.v1.TriggerService/WatchTrigger" in listed
    assert "grpc.health.v1.Health/Check" in listed


async def test_reflection_can_be_switched_off(clarion: Clarion) -> None:
    server = await clarion.serve(reflection=False)
    channel = await clarion.channel(server)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")().read()
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
