"""A scripted server, a client connected to it, and the command line as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import clarion_client
from clients.scripted_server import Script, scripted_server


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    async with scripted_server() as running:
        yield running


@pytest.fixture
async def clarion(script: Script) -> AsyncIterator[clarion_client.Clarion]:
    retry = clarion_client.RetryConfig(initial_backoff_s=0.001, max_backoff_s=0.01, watch_patience_s=5.0)
    async with clarion_client.connect(script.target, retry=retry) as client:
        yield client


@dataclass(frozen=True)
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Awaitable[Ended]]


def command_line(*arguments: str | Path) -> tuple[str, ...]:
    return (sys.executable, "-m", "clarion_client", *map(str, arguments))


@pytest.fixture
def cli_environment(script: Script) -> dict[str, str]:
    return os.environ | {"CLARION_SERVER": script.target}


@pytest.fixture
def cli(cli_environment: dict[str, str]) -> Cli:
    async def run(*arguments: str | Path, **environment: str) -> Ended:
        process = await asyncio.create_subprocess_exec(
            *command_line(*arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=cli_environment | environment,
        )
        out, err = await process.communicate()
        return Ended(process.returncode or 0, out.decode(), err.decode())

    return run
