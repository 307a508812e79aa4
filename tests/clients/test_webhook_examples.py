"""The examples that receive webhooks verify what Clarion sends, in Python and in Node."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from clarion_core.domain.outcome import Outcome, PermanentFailure, Sent, TransientFailure
from support.node import node_binary, npm_ci
from support.webhooks.calls import SECRET, call, opened

EXAMPLES = Path(__file__).parents[2] / "clients/examples/webhook"


@dataclass
class Receiver:
    """A running example."""

    process: asyncio.subprocess.Process
    port: int

    async def said(self) -> str:
        assert self.process.stdout
        return (await self.process.stdout.readline()).decode().strip()

    async def calls(self, *numbers: int, secret: str = "SECRET", **changes: bytes) -> list[Outcome]:
        url = f"http://127.0.0.1:{self.port}/hooks"
        channel = opened(secrets=[{"env": secret}], egress={"origins": [url.removesuffix("/hooks")]}, max_bytes=600_000)
        outcomes = [await channel.send([call(number, url, **changes)]) for number in numbers]
        await channel.close()
        return [outcome for [outcome] in outcomes]


@asynccontextmanager
async def running(*command: str | Path) -> AsyncIterator[Receiver]:
    process = await asyncio.create_subprocess_exec(
        *map(str, command), "0", stdout=asyncio.subprocess.PIPE, env=os.environ | {"WEBHOOK_SECRET": SECRET}
    )
    try:
        assert process.stdout
        words = (await process.stdout.readline()).decode().split()
        assert words[:2] == ["listening", "on"]
        yield Receiver(process, int(words[2]))
    finally:
        process.kill()
        await process.wait()


@pytest.fixture(params=["receive.py", "receive.mjs"])
async def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Receiver]:
    command: tuple[str | Path, ...] = (sys.executable, EXAMPLES / "receive.py")
    if request.param == "receive.mjs":
        node, copy = node_binary(), tmp_path / "webhook"
        await asyncio.to_thread(shutil.copytree, EXAMPLES, copy, ignore=shutil.ignore_patterns("node_modules"))
        done = await asyncio.to_thread(npm_ci, node, copy)
        assert done.returncode == 0, done.stderr
        command = node, copy / "receive.mjs"
    async with running(*command) as started:
        yield started


async def test_what_clarion_sends_is_verified_and_worked_on_once(receiver: Receiver) -> None:
    assert await receiver.calls(1, 1, 2) == [Sent(detail="answered 204")] * 3
    first, second = await receiver.said(), await receiver.said()
    assert first.startswith("00j4k-1 {")
    assert "Thank you." in first
    assert second.startswith("00j4k-2 {")


async def test_what_is_signed_by_somebody_else_is_refused(receiver: Receiver) -> None:
    [outcome] = await receiver.calls(1, secret="OTHER")
    assert isinstance(outcome, TransientFailure)
    assert outcome.detail == "answered 401"
    await receiver.calls(2)
    assert (await receiver.said()).startswith("00j4k-2 ")


async def test_what_is_too_large_is_refused_for_good(receiver: Receiver) -> None:
    [outcome] = await receiver.calls(1, body=b'"' + b"x" * 300_000 + b'"')
    assert isinstance(outcome, PermanentFailure)
    assert outcome.detail == "answered 413"
