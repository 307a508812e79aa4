"""Every example in clients/examples does what it says."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from clarion.v1.delivery_pb2 import Delivery
from clarion.v1.delivery_service_pb2 import ListDeliveriesResponse
from clarion.v1.trigger_pb2 import DeliveryCounts, Trigger
from clarion.v1.trigger_service_pb2 import CreateTriggerResponse, DeliveryChange, WatchTriggerResponse
from clarion.v1.worker_pb2 import Batch, Lane, Worker
from clarion.v1.worker_service_pb2 import ListBatchesResponse, ListLanesResponse, ListWorkersResponse
from clients.conftest import Ended
from clients.scripted_server import Failure, Script, grpc
from support.node import node_binary, npm_ci

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "clients/examples"
ORDER = ROOT / "examples/order.json"
NAME = "campaigns/order-confirmation/triggers/00j4k9x2m7q1c8v5b3n6"
SHELL = EXAMPLES / "shell/wait-for-trigger.sh"
ABSENT = Failure(code=grpc.StatusCode.NOT_FOUND, reason="CAMPAIGN_NOT_FOUND", message="no such campaign")
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


async def ended(script: Script, *command: str | Path, **environment: str) -> Ended:
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"CLARION_SERVER": script.target} | environment,
    )
    out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def run(script: Script, *command: str | Path, **environment: str) -> str:
    """What the program printed; it must have ended well."""
    done = await ended(script, *command, **environment)
    assert (done.code, done.err) == (0, "")
    return done.out


def the_order_was_triggered_and_watched(script: Script) -> bool:
    [request] = script.requests("CreateTrigger")
    watches = [each.resume_token for each in script.requests("WatchTrigger")]
    return bool(request.request_id) and request.campaign == "campaigns/order-confirmation" and watches == ["", "1"]


def context_sent(script: Script) -> dict[str, Any]:
    """The context of the latest trigger."""
    return dict(MessageToDict(script.requests("CreateTrigger")[-1].context))


def context_in(order: Path) -> Any:
    return json.loads(order.read_text())["context"]


@pytest.fixture
def order(tmp_path: Path) -> Path:
    """An order that is not the one in the repository."""
    path = tmp_path / "order.json"
    path.write_text(
        json.dumps({"context": {"order_id": "A-1", "total": 12.5, "paid": True, "items": [{"note": None}]}})
    )
    return path


@pytest.mark.parametrize("given", [True, False], ids=["with arguments", "without arguments"])
async def test_the_python_example_triggers_and_watches(script: Script, order: Path, given: bool) -> None:
    arguments = ("order-confirmation", "ana@example.com", order) if given else ()
    out = await run(script, sys.executable, EXAMPLES / "python/trigger.py", *arguments)
    assert out.splitlines() == [f"accepted {NAME}", "00j4k9x2m7q1c8v5b3n6-0 STATE_SENT", "sent 1 of 1"]
    assert the_order_was_triggered_and_watched(script)
    assert context_sent(script) == context_in(order if given else ORDER)


async def test_the_python_example_ends_with_one_line_that_says_what_was_wrong(script: Script) -> None:
    example = (sys.executable, EXAMPLES / "python/trigger.py", "order-confirmation", "ana@example.com")
    script.replace("CreateTrigger", ABSENT)
    done = await ended(script, *example)
    assert (done.code, done.err) == (1, "CAMPAIGN_NOT_FOUND: no such campaign\n")


@pytest.fixture
async def node_example(tmp_path: Path) -> tuple[Path, Path]:
    """Node, and the example with its packages beside copies of what it reads of this repository."""
    node, copy = node_binary(), tmp_path / "clients/examples/node"
    await asyncio.to_thread(shutil.copytree, EXAMPLES / "node", copy, ignore=_packages)
    await asyncio.to_thread(shutil.copytree, ROOT / "protos", tmp_path / "protos")
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples/order.json").write_text(ORDER.read_text())
    done = await asyncio.to_thread(npm_ci, node, copy)
    assert done.returncode == 0, done.stderr
    return node, copy / "trigger.mjs"


async def test_the_node_example_triggers_and_watches_or_says_in_one_line_what_was_wrong(
    script: Script, order: Path, node_example: tuple[Path, Path], tmp_path: Path
) -> None:
    out = await run(script, *node_example)
    assert out.splitlines() == [f"accepted {NAME}", "00j4k9x2m7q1c8v5b3n6-0 STATE_SENT", "sent 1 of 1"]
    assert the_order_was_triggered_and_watched(script)
    assert context_sent(script) == context_in(ORDER)

    await run(script, *node_example, "order-confirmation", "ana@example.com", order)
    assert context_sent(script) == context_in(order)

    script.replace("CreateTrigger", ABSENT)
    done = await ended(script, *node_example)
    assert (done.code, done.err) == (1, "NOT_FOUND: no such campaign\n")
    done = await ended(script, *node_example, "order-confirmation", "ana@example.com", tmp_path / "absent.json")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "absent.json" in done.err


@pytest.fixture
def shell_path(tmp_path: Path) -> str:
    """A PATH with a `clarion` in it."""
    command = tmp_path / "clarion"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m clarion_client "$@"\n')
    command.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


async def test_the_shell_example_triggers_and_waits(script: Script, shell_path: str) -> None:
    out = await run(script, SHELL, "order-confirmation", "ana@example.com", "order_id=A 1", "total=2", PATH=shell_path)
    assert out.splitlines()[0] == f"accepted {NAME}"
    assert "SENT" in out.splitlines()[-1]
    assert context_sent(script) == {"order_id": "A 1", "total": 2}
    assert the_order_was_triggered_and_watched(script)


async def test_the_shell_example_ends_with_the_exit_code_of_what_failed(script: Script, shell_path: str) -> None:
    call = (SHELL, "order-confirmation", "ana@example.com")
    done = await ended(script, *call, "@absent.json", PATH=shell_path)
    assert (done.code, done.err) == (4, "error: absent.json: No such file or directory\n")
    script.replace("CreateTrigger", ABSENT)
    done = await ended(script, *call, PATH=shell_path)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("error: no such campaign (CAMPAIGN_NOT_FOUND)\n")
    assert "Traceback" not in done.err


async def test_the_shell_example_says_how_it_is_used(script: Script) -> None:
    done = await ended(script, SHELL)
    usage = "usage: wait-for-trigger.sh CAMPAIGN EMAIL [@CONTEXT.json | KEY=VALUE ...]\n"
    assert (done.code, done.out, done.err) == (2, "", usage)


WATCH = EXAMPLES / "shell/watch-workers.sh"


ALIVE = Worker(name="workers/a", state=Worker.STATE_WORKING, rate_per_s=2.5)
SILENT = Worker(name="workers/b", state=Worker.STATE_SILENT, rate_per_s=99)
OLD = Lane(name="lanes/transactional", batches_due=3, batches_in_hand=1, oldest_due_age_s=61.5)
OLD_PAUSED = Lane(name="lanes/transactional", batches_due=3, oldest_due_age_s=61.5, paused=True)
TOLD = "transactional: 3 batches due, 1 in hand, the oldest for 61.5 s"
TOLD_PAUSED = "transactional: 3 batches due, 0 in hand, the oldest for 61.5 s, paused"


@pytest.mark.parametrize(
    ("workers", "lanes", "stuck", "patience", "said", "code"),
    [
        ([ALIVE, SILENT], [], 0, "60", ["1 workers alive, 1 silent, 2.5 deliveries a second", "all is well"], 0),
        ([ALIVE], [OLD], 0, "60", [TOLD, "transactional: work is due since 61.5 s, more than 60"], 1),
        ([ALIVE], [OLD], 0, "62", [TOLD, "all is well"], 0),
        ([ALIVE], [OLD_PAUSED], 0, "60", [TOLD_PAUSED, "all is well"], 0),
        ([SILENT], [], 0, "60", ["0 workers alive, 1 silent, 0.0 deliveries a second", "no worker is alive"], 1),
        ([ALIVE], [], 900, "60", ["900 batches are stuck: clarion workers batches --stuck"], 1),
    ],
    ids=["well", "too old", "patient", "paused", "nobody", "stuck"],
)
async def test_the_watchdog_says_whether_all_is_well(
    script: Script,
    shell_path: str,
    workers: list[Worker],
    lanes: list[Lane],
    stuck: int,
    patience: str,
    said: list[str],
    code: int,
) -> None:
    script.on("ListWorkers", ListWorkersResponse(workers=workers))
    script.on("ListLanes", ListLanesResponse(lanes=lanes))
    script.on("ListBatches", ListBatchesResponse(batches=[Batch(state=Batch.STATE_STUCK)] * stuck))
    done = await ended(script, WATCH, patience, PATH=shell_path)
    assert (done.code, done.out.splitlines()[-len(said) :], done.err) == (code, said, "")


async def test_the_watchdog_ends_with_the_exit_code_of_what_it_could_not_ask(script: Script, shell_path: str) -> None:
    script.on("ListWorkers", Failure(code=grpc.StatusCode.INTERNAL, reason="INTERNAL", message="no"))
    assert (await ended(script, WATCH, PATH=shell_path)).code == 70
    usage = await ended(script, WATCH, "soon", PATH=shell_path)
    assert (usage.code, usage.err) == (2, "usage: watch-workers.sh [SECONDS]\n")


def test_the_lock_file_of_the_node_example_names_no_address() -> None:
    assert "http" not in (EXAMPLES / "node/package-lock.json").read_text()


@pytest.mark.parametrize("example", [SHELL, WATCH], ids=lambda path: path.name)
def test_the_shell_examples_are_valid_for_a_plain_shell(example: Path) -> None:
    subprocess.run(["sh", "-n", example], check=True)


def _packages(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "node_modules"]
