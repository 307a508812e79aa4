"""One program, kept running."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from clarion_stack.errors import StackError
from clarion_stack.tether import tethered

LONGEST_LINE = 1024 * 1024

Output = Callable[[str, str], None]
"""Takes a program's name and one line that it wrote, or that is said about it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """What to run. Its output is lines; SIGTERM asks it to finish and end.

    `ready` says when it is up: the `event` of the JSON line by which it tells, or a question asked until it is true.
    """

    name: str
    command: Sequence[str]  # the first word is an absolute path
    ready: str | Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    inherited_fds: Sequence[int] = ()
    may_end: bool = False  # ended with exit code 0: somebody told it to, and it is not started again
    output: Output | None = None  # takes its lines, in the supervisor's place; what is said about it stays there
    start_s: float = 60.0  # not ready by then: it counts as dead
    drain_s: float = 40.0  # not ended this long after SIGTERM: it is killed


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pause before a dead program is started again: doubles up to a bound, and starts over after good health."""

    first_s: float = 1.0
    longest_s: float = 30.0
    healthy_s: float = 60.0

    def next_s(self, last_s: float, healthy_for_s: float) -> float:
        """The pause after one of `last_s` (0: none yet) and then `healthy_for_s` of being ready."""
        if last_s == 0 or healthy_for_s >= self.healthy_s:
            return self.first_s
        return min(last_s * 2, self.longest_s)


class Child:
    """Starts a program, starts it again when it dies, and stops it. See `Program.may_end`."""

    def __init__(self, program: Program, output: Output, backoff: Backoff) -> None:
        self.program = program
        self._output = output
        self._backoff = backoff
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._told = asyncio.Event()
        self._last_line = "no word"

    @property
    def pid(self) -> int | None:
        """The process, if one runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start it and wait until it is ready; from then on it is kept running. StackError if it does not come up."""
        await self._launch()
        self._keeper = asyncio.create_task(self._keep(), name=f"keeper of {self.program.name}")

    async def stop(self) -> None:
        """SIGTERM, then wait; SIGKILL after `drain_s`. Nothing is left when this returns."""
        await self._stop_keeping()
        if self._process is None:
            return
        if self.pid is not None:
            self._process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), self.program.drain_s)
        await self._end()

    def kill(self) -> None:
        """SIGKILL, at once and for good; `stop` still has to collect it."""
        if self._keeper is not None:
            self._keeper.cancel()
        self._kill_group()

    async def _launch(self) -> None:
        self._told.clear()
        self._last_line = "no word"
        self._process = await asyncio.create_subprocess_exec(
            *tethered(self.program.command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LONGEST_LINE,
            env=self.program.environment,
            pass_fds=self.program.inherited_fds,
            start_new_session=True,  # a terminal's Ctrl-C is for the supervisor, which stops its children in order
        )
        self._reader = asyncio.create_task(self._read(self._process), name=f"reader of {self.program.name}")
        if not await self._comes_up(self._process):
            await self._end()
            raise StackError(f"{self.program.name} did not start: {self._last_line}")

    async def _comes_up(self, process: asyncio.subprocess.Process) -> bool:
        ready = asyncio.create_task(self._until_ready())
        dead = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({ready, dead}, timeout=self.program.start_s, return_when=asyncio.FIRST_COMPLETED)
            return ready.done() and not dead.done()
        finally:
            for task in (ready, dead):
                task.cancel()
            await asyncio.gather(ready, dead, return_exceptions=True)

    async def _until_ready(self) -> None:
        if isinstance(self.program.ready, str):
            await self._told.wait()
            return
        while not await asyncio.to_thread(self.program.ready):  # noqa: ASYNC110 - another process has no Event for us
            await asyncio.sleep(0.01)

    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        pause = 0.0
        ready_since: float | None = clock()
        while True:
            code = await self._exit_code()
            if code == 0 and self.program.may_end:
                self._output(self.program.name, "ended as it was told to; it is not started again")
                return
            pause = self._backoff.next_s(pause, 0 if ready_since is None else clock() - ready_since)
            self._output(self.program.name, f"{_how_it_ended(code)}; started again in {pause:g} s")
            await asyncio.sleep(pause)
            try:
                await self._launch()
                ready_since = clock()
            except StackError as error:
                self._output(self.program.name, str(error))
                ready_since = None

    async def _exit_code(self) -> int:
        assert self._process is not None
        code = await self._process.wait()
        await self._end()
        return code

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                raw = await process.stdout.readline()
            except ValueError:  # the rest of an over-long line is read as the next one
                raw = f"(a line of more than {LONGEST_LINE} bytes)\n".encode()
            if not raw:
                return
            self._take(raw.decode(errors="replace").rstrip("\r\n"))

    def _take(self, line: str) -> None:
        self._last_line = line or self._last_line
        if not self._told.is_set() and _event(line) == self.program.ready:
            self._told.set()
        (self.program.output or self._output)(self.program.name, line)

    async def _stop_keeping(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None

    async def _end(self) -> None:
        assert self._process is not None
        assert self._reader is not None
        self._kill_group()
        await self._process.wait()
        # The last words; a stranger that inherited the pipe does not hold us up.
        await asyncio.wait({self._reader}, timeout=1)
        self._reader.cancel()

    def _kill_group(self) -> None:
        # The child leads a process group of its own, so what it may have started ends with it.
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


def _event(line: str) -> object:
    with contextlib.suppress(ValueError):
        parsed = json.loads(line)
        return parsed.get("event") if isinstance(parsed, dict) else None
    return None


def _how_it_ended(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
