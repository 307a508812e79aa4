"""What a process says when it is started wrongly, or dangerously."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys

import pytest

from clarion_core.environment import variable
from clarion_core.settings import CoreSettings, EdgeSettings, ServerSettings, WorkerSettings
from clarion_stack.local import free_port
from support.journey import Journey
from support.processes import address_of

pytestmark = pytest.mark.journey

SERVER, WORKER, EDGE = "clarion_server", "clarion_workers", "clarion_edge"


@pytest.mark.parametrize(
    ("program", "setting", "value"),
    [
        (SERVER, "listen", "nowhere"),
        (SERVER, "redis_url", "http://127.0.0.1"),
        (SERVER, "drain_s", "soon"),
        (SERVER, "metrics", "nowhere"),
        (WORKER, "metrics", "127.0.0.1:65536"),
        (WORKER, "lease_s", "0"),
        (WORKER, "smtp_port", "70000"),
        (WORKER, "shards", "none"),
        (WORKER, "smtp_ca_file", "/no/such/file"),
        (EDGE, "edge_listen", "nowhere"),
        (EDGE, "edge_mail", "nowhere"),
        (EDGE, "public_url", "edge.example.com"),
    ],
)
async def test_a_wrong_setting_ends_the_process_with_one_line_that_names_it(
    journey: Journey, program: str, setting: str, value: str
) -> None:
    process = await journey.program(program, **{setting: value})
    assert await process.ended() == 2
    assert len(process.lines) == 1
    assert process.lines[0].startswith(f"CLARION_{setting.upper()}: ")


def run(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The program with these arguments, where no setting could be right."""
    command = [sys.executable, "-m", program, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={"CLARION_SHARDS": "none"} | environment
    )


@pytest.mark.parametrize(
    ("program", "settings"), [(SERVER, ServerSettings), (WORKER, WorkerSettings), (EDGE, EdgeSettings)]
)
def test_help_tells_the_exit_codes_and_every_setting(program: str, settings: type[CoreSettings]) -> None:
    told = run(program, "--help")
    assert (told.returncode, told.stderr) == (0, "")
    words = " ".join(told.stdout.split())
    for name, field in settings.model_fields.items():
        assert f" {variable(name)} [" in words
        assert str(field.description) in words
    assert "CLARION_SHARDS [1] " in words
    assert "Takes a whole number from 1 to 64." in words
    assert [line.split()[0] for line in told.stdout.partition("exit codes:\n")[2].splitlines()] == ["0", "1", "2"]


@pytest.mark.parametrize("program", [SERVER, WORKER])
def test_version_is_told(program: str) -> None:
    assert run(program, "--version").stdout.startswith("clarion 0.")


@pytest.mark.parametrize("program", [SERVER, WORKER])
def test_any_other_argument_is_refused_with_one_line(program: str) -> None:
    refused = run(program, "--port", "7171")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert len(refused.stderr.splitlines()) == 1
    assert "--port 7171" in refused.stderr


@pytest.mark.parametrize("program", [SERVER, WORKER])
async def test_a_misspelt_setting_is_warned_of_and_no_other(journey: Journey, program: str) -> None:
    known = {
        "server": "127.0.0.1:1",
        "workspace": "tests",
        "test_anything": "1",
        "window": "8",
        "listen": "127.0.0.1:0",
    }
    process = await journey.program(program, wndow=8, **known)
    await process.logged("serving" if program == SERVER else "working")
    [warning] = process.logs("setting_unknown")
    assert (warning["name"], warning["did_you_mean"]) == ("CLARION_WNDOW", "CLARION_WINDOW")
    assert warning["level"] == "warning"


async def test_credentials_that_would_travel_in_the_clear_end_the_worker_with_one_line(journey: Journey) -> None:
    process = await journey.program(
        WORKER, smtp_host="mail.example.com", smtp_username="ana", smtp_password="canary4711"
    )
    assert await process.ended() == 2
    assert len(process.lines) == 1
    assert process.lines[0].startswith("CLARION_SMTP_USERNAME: needs TLS")


async def test_an_option_of_the_store_that_there_is_not_ends_the_process_with_one_line(journey: Journey) -> None:
    process = await journey.program(SERVER, redis_url="redis://127.0.0.1:6379/0?socket_timeuot=1")
    assert await process.ended() == 2
    assert len(process.lines) == 1
    assert "CLARION_REDIS_URL" in process.lines[0]


async def test_a_port_in_use_ends_the_server_with_one_line(journey: Journey) -> None:
    first = await journey.server()
    second = await journey.program(SERVER, listen=address_of(first))
    assert await second.ended() == 2
    assert len(second.lines) == 1
    assert f"CLARION_LISTEN {address_of(first)}" in second.lines[0]


@pytest.mark.parametrize("program", [SERVER, WORKER])
async def test_a_port_for_metrics_in_use_ends_the_process_with_one_line(journey: Journey, program: str) -> None:
    first = await journey.server(metrics="127.0.0.1:0")
    address = first.logs("serving")[0]["metrics"]
    second = await journey.program(program, listen="127.0.0.1:0", metrics=address)
    assert await second.ended() == 2
    assert len(second.lines) == 1
    assert f"CLARION_METRICS {address} can't be bound" in second.lines[0]


@pytest.mark.parametrize("program", [SERVER, WORKER])
async def test_another_number_of_shards_than_the_stores_ends_the_process_with_one_line(
    journey: Journey, program: str
) -> None:
    await journey.server(shards=2)
    other = await journey.program(program, listen="127.0.0.1:0", shards=3)
    assert await other.ended() == 2
    assert len(other.lines) == 1
    assert "shards is 2, this process was told 3" in other.lines[0]


@pytest.mark.parametrize("program", [SERVER, WORKER])
async def test_a_process_that_waits_for_its_store_ends_when_told(journey: Journey, program: str) -> None:
    process = await journey.program(
        program, listen="127.0.0.1:0", redis_url=f"redis://ana:canary4711@127.0.0.1:{free_port()}/1"
    )
    away = await process.logged("store_away")
    assert re.fullmatch(r"redis://127\.0\.0\.1:\d+/1", away["address"])
    assert away["reason"] == "refused"
    assert "canary4711" not in str(process)
    async with asyncio.timeout(5):
        assert await process.terminate() == 0, str(process)


async def test_a_server_open_to_the_network_says_so_loudly(journey: Journey) -> None:
    open_one = await journey.server(listen="0.0.0.0:0")
    warning = await open_one.logged("open_to_the_network", level="warning")
    assert "trusted with every workspace" in warning["meaning"]
    closed = await journey.server()
    assert not closed.logs("open_to_the_network")
