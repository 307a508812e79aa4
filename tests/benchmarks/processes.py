"""Programs that a measurement runs beside itself: started, waited for, asked what they used, and ended by pid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from clarion_stack.tether import tethered

TESTS = Path(__file__).parents[1]
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_START_S, _STOP_S, _POLL_S = 30.0, 45.0, 0.01


class BenchError(Exception):
    """A measurement that can't be made, in one sentence."""


class Child:
    """A program that runs while inside. Its output is lines in a file; it is up once one of them holds `ready`."""

    def __init__(
        self, name: str, command: Sequence[str], directory: Path, ready: str, environment: Mapping[str, str] = {}
    ) -> None:
        self.name, self._command, self._ready = name, command, ready
        self._log = directory / f"{name}.log"
        kept = {key: value for key, value in os.environ.items() if not key.startswith("CLARION_")}
        path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
        self._environment = {**kept, "PYTHONPATH": path, **environment}

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def wait_for(self, words: str, timeout_s: float = _START_S) -> dict[str, Any]:
        """The first line of its output that holds these words, read as JSON. BenchError if it does not come."""
        deadline = time.monotonic() + timeout_s
        while True:
            ended = self._process.poll() is not None
            for line in self._log.read_text("utf-8", "replace").splitlines(keepends=True):
                if words in line and line.endswith("\n"):
                    found: dict[str, Any] = json.loads(line)
                    return found
            if ended or time.monotonic() > deadline:
                raise BenchError(f"{self.name} did not say {words}, its last line is: {self._last_line()}")
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL)."""
        self._process.kill()
        self._process.wait()

    def _last_line(self) -> str:
        return (self._log.read_text("utf-8", "replace").splitlines() or ["none"])[-1]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                tethered(self._command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                process_group=0,  # Ctrl-C is for us, and we end it
            )
        try:
            self.said = self.wait_for(self._ready)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def module(name: str, *arguments: object) -> list[str]:
    """The command that runs one of our modules."""
    return [sys.executable, "-m", name, *map(str, arguments)]


class CpuMeter:
    """Seconds of CPU, user and system, that processes took since it was made; `client` is this process alone."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._before = self._read()

    def read(self) -> dict[str, float]:
        """By name."""
        return {name: now - self._before[name] for name, now in self._read().items()}

    def _read(self) -> dict[str, float]:
        return {**{name: cpu_s(pid) for name, pid in self._pids.items()}, "client": time.process_time()}


def cpu_s(pid: int) -> float:
    """User and system time of a process and its descendants, ended ones too, in seconds (proc(5), stat 14 to 17)."""
    ticks = 0
    for each in family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:15])
    return ticks * _TICK_S


def rss_mib(pid: int) -> float:
    """Memory that a process and its descendants have resident, in MiB."""
    return sum(_kib(each, "VmRSS") for each in family(pid)) / 1024


def family(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from family(int(child))


def _kib(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise BenchError(f"process {pid} has no memory")
