"""The sink that tests and benchmarks send to, as a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from clarion_core.domain.outcome import Sent
from clarion_workers.channels.email import EmailChannel
from support.emails import email
from support.smtp_sink import wait_for_process

Open = Callable[..., EmailChannel]
TESTS = Path(__file__).parents[1]


async def all_sent(channel: EmailChannel, count: int) -> bool:
    outcomes = await channel.send([email(n) for n in range(count)])
    return all(isinstance(outcome, Sent) for outcome in outcomes)


@pytest.fixture
async def sink_process(tmp_path: Path) -> AsyncIterator[Callable[..., Coroutine[Any, Any, int]]]:
    running: list[asyncio.subprocess.Process] = []

    async def start(*arguments: str) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "support.smtp_sink", *arguments, cwd=TESTS, stdout=asyncio.subprocess.PIPE
        )
        running.append(process)
        assert process.stdout
        return int(json.loads(await process.stdout.readline())["port"])

    yield start
    for process in running:
        process.terminate()
        await process.communicate()


async def test_the_sink_runs_as_a_process_and_keeps_a_log(
    sink_process: Callable[..., Coroutine[Any, Any, int]], tmp_path: Path, open_channel: Open
) -> None:
    port = await sink_process("--log", str(tmp_path / "mail.jsonl"))
    assert await all_sent(open_channel(port), 20)
    assert (await wait_for_process(port, 20))[0] == 20
    lines = [json.loads(line) for line in (tmp_path / "mail.jsonl").read_text().splitlines()]
    assert {line["message_id"] for line in lines} == {f"00j4k-{n}@mail.example.com" for n in range(20)}


async def test_the_fast_sink_counts(sink_process: Callable[..., Coroutine[Any, Any, int]], open_channel: Open) -> None:
    port = await sink_process("--fast")
    waiting = asyncio.create_task(wait_for_process(port, 1_000))
    assert await all_sent(open_channel(port), 1_000)
    assert (await waiting)[0] == 1_000
