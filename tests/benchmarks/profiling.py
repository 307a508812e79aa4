"""Where the time goes in a process under load: `python -m benchmarks profile worker|server`.

With py-spy on PATH or beside Python it samples the running process; else the process runs under cProfile, which
makes calls look dearer than they are.
"""

from __future__ import annotations

import io
import pstats
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from benchmarks import h2, orders
from benchmarks.deliver import send
from benchmarks.plan import Plan
from benchmarks.sink import watch
from benchmarks.stand import Stand, stand

TOP = 40
TARGETS = ("worker", "server")


async def profile(plan: Plan, target: str, console: Console) -> None:
    """Load the target and print its functions, the dearest first."""
    spy = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    report = plan.directory / f"{target}.profile"
    traced = "" if spy else target
    async with stand(plan.directory, worker=target == "worker", profiled=traced, report=report) as clarion:
        with _sampled(spy, clarion.pids[target], report):
            await _load(plan, clarion, target)
    console.print(_sampled_table(report) if spy else _traced_table(report), highlight=False, markup=False)


async def _load(plan: Plan, clarion: Stand, target: str) -> None:
    if target == "server":
        await h2.load(clarion.target, orders.METHOD, orders.unary(), seconds=plan.accept_s * plan.rounds)
        return
    async with watch(clarion.sink_port) as sinks:
        await send(clarion, sinks, orders.calls(plan.deliveries), plan.deliveries)


@contextmanager
def _sampled(spy: str | None, pid: int, report: Path) -> Iterator[None]:
    if spy is None:
        yield
        return
    options = ["--rate", "250", "--format", "raw", "--duration", "unlimited", "--output", str(report)]
    quiet = subprocess.DEVNULL
    command = [spy, "record", "--pid", str(pid), *options]
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as sampler:
        try:
            yield
        finally:
            sampler.send_signal(signal.SIGINT)  # it writes its report


def _sampled_table(report: Path) -> str:
    own: Counter[str] = Counter()
    all_in: Counter[str] = Counter()
    total = 0
    for line in report.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        total += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            all_in[frame] += int(count)
    lines = [f"{total} samples\n", "  own %  function and line"]
    lines += [f"{100 * count / total:7.1f}  {frame}" for frame, count in own.most_common(TOP)]
    lines += ["", "   in %  function and line"]
    lines += [f"{100 * count / total:7.1f}  {frame}" for frame, count in all_in.most_common(TOP)]
    return "\n".join(lines)


def _traced_table(report: Path) -> str:
    out = io.StringIO()
    stats = pstats.Stats(str(report), stream=out)
    stats.strip_dirs().sort_stats("tottime").print_stats(TOP)
    stats.sort_stats("cumulative").print_stats(TOP)
    return out.getvalue()
