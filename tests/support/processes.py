"""Clarion as its users start it: servers, workers, Redis and an SMTP sink, each a process of its own.

`async with Processes(directory) as processes:` starts Redis and the sink; servers and workers are started by its
methods, with settings as keywords (`lease_s=1` becomes CLARION_LEASE_S). On leaving, whatever was started is killed
with its process group, whatever became of the test; should the tests themselves be killed, the kernel ends it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from clarion_stack.redis import RedisServer
from clarion_stack.tether import tethered
from support.raw_logs import SINK, Taken, read_taken
from support.smtp_sink import wait_for_process

TESTS = Path(__file__).parents[1]
LONGEST_LINE = 1024 * 1024


class Process:
    """A program in a process group of its own. What it prints is collected line by line while it runs."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self._command, self._environment = command, environment
        self.lines: list[str] = []
        self.events: list[dict[str, Any]] = []  # the lines that are JSON objects
        self._over = False
        self._changed = asyncio.Condition()

    async def start(self) -> None:
        """Start it, and read along."""
        self._process = await asyncio.create_subprocess_exec(
            *tethered(self._command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment,
            limit=LONGEST_LINE,
            process_group=0,
        )
        self._reader = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        """The process, also once it has ended."""
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    async def logged(self, event: str, count: int = 1, **fields: Any) -> dict[str, Any]:
        """The `count`-th log line of this event with these fields, once it is there. Fails if the process ends."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._over or len(self.logs(event, **fields)) >= count)
        found = self.logs(event, **fields)
        assert len(found) >= count, f"ended without {event!r}:\n{self}"
        return found[count - 1]

    def logs(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """The log lines so far of this event with these fields."""
        wanted = {"event": event, **fields}
        return [line for line in self.events if all(line.get(name) == value for name, value in wanted.items())]

    async def printed(self, pattern: str) -> re.Match[str]:
        """The first line in which this is found, once it is there. Fails if the process ends."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._over or any(re.search(pattern, line) for line in self.lines))
        found = next(filter(None, (re.search(pattern, line) for line in self.lines)), None)
        assert found, f"ended without {pattern!r}:\n{self}"
        return found

    async def first_line(self) -> str:
        """The first line it prints."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._over or bool(self.lines))
        assert self.lines, "ended without a word"
        return self.lines[0]

    async def ended(self) -> int:
        """Wait for its end: the exit code, negative for a signal."""
        await self._reader
        return await self._process.wait()

    async def terminate(self) -> int:
        """SIGTERM, and wait for the end."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        """SIGKILL to the whole group, and wait for the end; harmless when it has ended."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        await self.ended()

    async def _read(self) -> None:
        assert self._process.stdout
        while line := await self._process.stdout.readline():
            self._take(line.decode(errors="replace").rstrip("\n"))
            await self._tell()
        self._over = True
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _take(self, line: str) -> None:
        self.lines.append(line)
        with suppress(ValueError):
            parsed = json.loads(line)
            if isinstance(parsed, dict):
                self.events.append(parsed)

    def __repr__(self) -> str:
        """Its last words."""
        return "\n".join(self.lines[-40:])


class Sink:
    """The SMTP sink as a process; `taken` is read from its log."""

    def __init__(self, process: Process, port: int, log: Path) -> None:
        self.process, self.port, self._log = process, port, log

    async def wait_for(self, count: int) -> None:
        """Return once that many messages were taken."""
        await wait_for_process(self.port, count)

    async def wait_for_recipient(self, address: str) -> None:
        """Return once a message to this address was taken."""
        taken = self.taken()
        while not any(address in message.recipients for message in taken):
            await self.wait_for(len(taken) + 1)  # of one reading: whatever came since then is in the next
            taken = self.taken()

    def taken(self) -> list[Taken]:
        """The messages so far, in order."""
        return read_taken(self._log)

    def recipients(self) -> Counter[str]:
        """How many messages each address got so far."""
        return Counter(address for message in self.taken() for address in message.recipients)


class Processes:
    """Everything a test starts. `directory` holds Redis' data and the sink's log."""

    def __init__(self, directory: Path, redis_program: Path | None = None) -> None:
        self.directory = directory
        self._started: list[Process] = []
        self.redis = RedisServer(directory / "redis", redis_program)
        self.sink: Sink

    async def start_store(self) -> None:
        """Start Redis."""
        self.redis.start()

    async def end_store(self) -> None:
        """End Redis, at once."""
        self.redis.kill()

    async def __aenter__(self) -> Self:
        await self.start_store()
        try:
            self.sink = await self._start_sink()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            for process in self._started:
                await process.kill()
        finally:
            await self.end_store()

    def show(self) -> None:
        """Print the last words of every process."""
        for process in self._started:
            print(f"--- {process.pid} {'runs' if process.runs else 'ended'}\n{process}")  # noqa: T201

    async def server(self, **settings: object) -> Process:
        """A server that serves; `address_of` says where."""
        process = await self.program("clarion_server", **{"listen": "127.0.0.1:0", **settings})
        await process.logged("serving")
        return process

    async def worker(self, **settings: object) -> Process:
        """A worker that takes work, and sends to the sink."""
        process = await self.program("clarion_workers", **{"smtp_port": self.sink.port, **settings})
        await process.logged("working")
        return process

    async def program(self, module: str, **settings: object) -> Process:
        """`python -m module`, on our Redis unless told otherwise; not waited for."""
        # The usual port for metrics is one for the whole machine.
        values = {"redis_url": self.redis.url, "metrics": "off", **settings}
        environment = {f"CLARION_{name.upper()}": str(value) for name, value in values.items()}
        return await self._start("-m", module, **environment)

    async def stack(self, **settings: object) -> Process:
        """`clarion-stack up`, with a store of its own, that sends to the sink; up."""
        values = {"listen": "127.0.0.1:0", "smtp_host": "127.0.0.1", "smtp_port": self.sink.port, **settings}
        environment = {f"CLARION_{name.upper()}": str(value) for name, value in values.items()}
        process = await self._start(
            "-m", "clarion_stack", "up", "--directory", str(self.directory / "stack"), **environment
        )
        await process.printed("Clarion is up")
        return process

    async def _start(self, *arguments: str, **environment: str) -> Process:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        process = Process([sys.executable, *arguments], {**inherited, **environment})
        await process.start()
        self._started.append(process)
        return process

    async def _start_sink(self) -> Sink:
        log = self.directory / SINK
        process = await self._start("-m", "support.smtp_sink", "--brief", "--log", str(log), PYTHONPATH=str(TESTS))
        return Sink(process, json.loads(await process.first_line())["port"], log)


def address_of(server: Process) -> str:
    """The host:port a server listens at."""
    return str(server.logs("serving")[0]["address"])
