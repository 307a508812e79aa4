"""What a process says when it is started wrongly, or dangerously."""

from __future__ import annotations

import asyncio

import pytest

from support.journey import Journey
from support.processes import address_of

pytestmark = pytest.mark.journey

SERVER, WORKER = "clarion_server", "clarion_workers"


@pytest.mark.parametrize(
    ("program", "setting", "value"),
    [
        (SERVER, "listen", "nowhere"),
        (SERVER, "redis_url", "http://127.0.0.1"),
        (SERVER, "drain_s", "soon"),
        (WORKER, "lease_s", "0"),
        (WORKER, "smtp_port", "70000"),
        (WORKER, "shards", "none"),
    ],
)
async def test_a_wrong_setting_ends_the_process_with_one_line_that_names_it(
    journey: Journey, program: str, setting: str, value: str
) -> None:
    process = await journey.program(program, **{setting: value})
    assert await process.ended() == 2
    assert len(process.lines) == 1
    assert process.lines[0].startswith(f"CLARION_{setting.upper()}: ")


async def test_a_port_in_use_ends_the_server_with_one_line(journey: Journey) -> None:
    first = await journey.server()
    second = await journey.program(SERVER, listen=address_of(first))
    assert await second.ended() == 2
    assert len(second.lines) == 1
    assert f"CLARION_LISTEN {address_of(first)}" in second.lines[0]


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
    journey.redis.kill()
    process = await journey.program(program, listen="127.0.0.1:0")
    await process.logged("store_away")
    async with asyncio.timeout(5):
        assert await process.terminate() == 0, str(process)


async def test_a_server_open_to_the_network_says_so_loudly(journey: Journey) -> None:
    open_one = await journey.server(listen="0.0.0.0:0")
    warning = await open_one.logged("open_to_the_network", level="warning")
    assert "trusted with every workspace" in warning["meaning"]
    closed = await journey.server()
    assert not closed.logs("open_to_the_network")
