"""Facts of the machine, without which the figures mean nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path
from statistics import median

import grpc

from benchmarks.rows import Row
from clarion_stack.redis import find_server

_SYNCS = 200


def facts(directory: Path) -> list[Row]:
    """What it is, and how long its disk takes to make 4 KiB safe."""
    found: dict[str, str] = {
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "load_before": f"{os.getloadavg()[0]:.2f}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
        "store": _store(),
    }
    rows = [Row(id=f"machine_{name}", value=value, unit="") for name, value in found.items()]
    return [*rows, Row(id="machine_fsync_p50_us", value=_fsync_us(directory), unit="us")]


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _store() -> str:
    said = subprocess.run([find_server(), "--version"], capture_output=True, text=True, check=True).stdout
    return " ".join(said.split()[:3]).replace("server v=", "")


def _fsync_us(directory: Path) -> float:
    file = os.open(directory / "fsync", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    times = []
    try:
        for _ in range(_SYNCS):
            os.write(file, b"\0" * 4096)
            started = time.perf_counter()
            os.fdatasync(file)
            times.append(time.perf_counter() - started)
    finally:
        os.close(file)
    return 1e6 * median(times)
