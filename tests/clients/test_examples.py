"""Every example in clients/examples does what it says."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clarion.v1.delivery_pb2 import Delivery
from clarion.v1.delivery_service_pb2 import ListDeliveriesResponse
from clarion.v1.trigger_pb2 import DeliveryCounts, Trigger
from clarion.v1.trigger_service_pb2 import CreateTriggerResponse, DeliveryChange, WatchTriggerResponse
from clients.node import install_packages, node_binary
from clients.scripted_server import Failure, Script, grpc

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "clients/examples"
ORDER = ROOT / "examples/order.json"
NAME = "campaigns/order-confirmation/triggers/00j4k9x2m7q1c8v5b3n6"
DELIVERY = f"{NAME}/deliveries/00j4k9x2m7q1c8v5b3n6-0"


@pytest.fixture(autouse=True)
def one_order_that_survives_a_broken_stream(script: Script) -> None:
    trigger = Trigger(name=NAME, state=Trigger.STATE_RUNNING, counts=DeliveryCounts(accepted=1, in_flight=1))
    moved = DeliveryChange(delivery=DELIVERY, state=Delivery.STATE_SENT, attempts=1)
    sent = WatchTriggerResponse.Change(
        deliveries=[moved], counts=DeliveryCounts(accepted=1, sent=1), state=Trigger.STATE_COMPLETED
    )
    script.on("CreateTrigger", CreateTriggerResponse(trigger=trigger))
    script.on(
        "WatchTrigger",
        [
            WatchTriggerResponse(snapshot=trigger, resume_token="1"),
            Failure(code=grpc.StatusCode.UNAVAILABLE, reason="DRAINING", retry_after_s=0.0),
        ],
        [
            WatchTriggerResponse(heartbeat=WatchTriggerResponse.Heartbeat(), resume_token="1"),
            WatchTriggerResponse(change=sent, resume_token="2"),
        ],
    )
    done = Delivery(name=DELIVERY, user_id="ana@example.com", state=Delivery.STATE_SENT)
    script.on("ListDeliveries", ListDeliveriesResponse(deliveries=[done]))


async def run(script: Script, *command: str | Path, **environment: str) -> str:
    """What the program printed; it must have ended well."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"CLARION_SERVER": script.target} | environment,
    )
    out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    return out.decode()


def the_order_was_triggered_and_watched(script: Script) -> bool:
    [request] = script.requests("CreateTrigger")
    watches = [each.resume_token for each in script.requests("WatchTrigger")]
    return bool(request.request_id) and request.campaign == "campaigns/order-confirmation" and watches == ["", "1"]


async def test_the_python_example_triggers_and_watches(script: Script) -> None:
    example = EXAMPLES / "python/trigger.py"
    out = await run(script, sys.executable, example, "order-confirmation", "ana@example.com", ORDER)
    assert out.splitlines() == [f"accepted {NAME}", "00j4k9x2m7q1c8v5b3n6-0 STATE_SENT", "sent 1 of 1"]
    assert the_order_was_triggered_and_watched(script)
    assert script.requests("CreateTrigger")[0].context["order_id"].startswith("LL-")


async def test_the_node_example_triggers_and_watches(script: Script, tmp_path: Path) -> None:
    node = node_binary()
    await asyncio.to_thread(shutil.copytree, EXAMPLES / "node", tmp_path / "node", ignore=_packages)
    await asyncio.to_thread(install_packages, node, tmp_path / "node")
    arguments = ("order-confirmation", "ana@example.com", ORDER)
    out = await run(script, node, tmp_path / "node/trigger.mjs", *arguments, CLARION_PROTOS=str(ROOT / "protos"))
    assert out.splitlines() == [f"accepted {NAME}", "00j4k9x2m7q1c8v5b3n6-0 STATE_SENT", "sent 1 of 1"]
    assert the_order_was_triggered_and_watched(script)
    context = script.requests("CreateTrigger")[0].context
    assert context["order_id"].startswith("LL-")
    assert context["items"][0]["quantity"] >= 1


async def test_the_shell_example_triggers_and_waits(script: Script, tmp_path: Path) -> None:
    command = tmp_path / "clarion"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m clarion_client "$@"\n')
    command.chmod(0o755)
    example = EXAMPLES / "shell/wait-for-trigger.sh"
    path = f"{tmp_path}:{os.environ['PATH']}"
    out = await run(script, example, "order-confirmation", "ana@example.com", "order_id=A 1", "total=2", PATH=path)
    assert out.splitlines()[0] == f"accepted {NAME}"
    assert "SENT" in out.splitlines()[-1]
    assert dict(script.requests("CreateTrigger")[0].context.items()) == {"order_id": "A 1", "total": 2}
    assert the_order_was_triggered_and_watched(script)


def test_the_lock_file_of_the_node_example_names_no_address() -> None:
    assert "http" not in (EXAMPLES / "node/package-lock.json").read_text()


def test_the_shell_example_is_valid_for_a_plain_shell() -> None:
    subprocess.run(["sh", "-n", EXAMPLES / "shell/wait-for-trigger.sh"], check=True)


def _packages(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "node_modules"]
