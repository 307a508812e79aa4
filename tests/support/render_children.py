"""The processes that render, found from outside."""

from __future__ import annotations

import os
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def children_of(parent: int) -> list[int]:
    """The processes that render for a process."""
    listed = [task / "children" for task in Path(f"/proc/{parent}/task").iterdir()]
    pids = [int(pid) for path in listed for pid in _listed(path).split()]
    return [pid for pid in pids if b"clarion_core.content.child" in _read(pid, "cmdline")]


def runs(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    fields = _fields(pid)
    return bool(fields) and fields[0] not in "ZX"


def cpu_s(pid: int) -> float:
    """The CPU time that a process took so far, in seconds; 0 once it is gone."""
    fields = _fields(pid)
    return sum(int(ticks) for ticks in fields[11:13]) * _TICK_S if fields else 0.0


def environment_of(pid: int) -> dict[str, str]:
    """The environment that a process was started with."""
    entries = _read(pid, "environ").decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


def files_of(pid: int) -> dict[int, str]:
    """What a process has open, by descriptor."""
    return {int(link.name): os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}


def _fields(pid: int) -> list[str]:
    return _read(pid, "stat").decode().rpartition(")")[2].split()


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _listed(path: Path) -> str:
    """What the file says, or nothing where its thread has ended since it was found."""
    try:
        return path.read_text()
    except OSError:
        return ""
