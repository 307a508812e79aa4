"""`python -m faults`: the whole run; `--short`: a few seconds of it; `--judge`: read the logs of the last one again."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from clarion_stack.directory import DirectoryLock
from clarion_stack.errors import StackError
from faults import bars
from faults.figures import figures
from faults.plan import Plan
from faults.planted import planted
from faults.run import run
from faults.steered import NotReached
from support.ledger_check import Report

KEPT = Path(__file__).parents[2] / ".clarion"
LOGS, OUTPUT = KEPT / "faults", KEPT / "faults.json"


def main() -> int:
    """Exit code 0 where every bar is met, 1 where one is missed or a point was not reached, 130 on Ctrl-C."""
    arguments = _arguments()
    console = Console(width=None if sys.stdout.isatty() else 160)
    plan = Plan.short() if arguments.short else Plan.whole()
    started = time.monotonic()
    if not arguments.judge:
        try:
            _run(plan, arguments.seed, lambda line: _say(console, started, line))
        except KeyboardInterrupt:
            return 130
        except (NotReached, StackError) as error:
            console.print(f"[red]{error}[/red]; what was said until then is in {LOGS}", highlight=False)
            return 1
    found = figures(LOGS)
    rows = [*bars.rows(found, plan), *_planted(found.report)]
    bars.show(found, rows, console)
    if not arguments.short:
        bars.write(found, OUTPUT)
        console.print(f"Written to {OUTPUT} after {(time.monotonic() - started) / 60:.1f} minutes", highlight=False)
    return 0 if all(row.met for row in rows) else 1


def _run(plan: Plan, seed: int, say: Callable[[str], None]) -> None:
    """In a directory that nobody else runs in, emptied."""
    LOGS.mkdir(parents=True, exist_ok=True)
    lock = DirectoryLock(LOGS)
    lock.take()
    try:
        for path in LOGS.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()
        say(f"seed {seed}; the logs go to {LOGS}")
        asyncio.run(run(LOGS, plan, seed, say=say))
    finally:
        shutil.rmtree(LOGS / "redis", ignore_errors=True)
        lock.release()


def _planted(found: Report) -> list[bars.Row]:
    """Whether the verdict turns red where it must, and by just that."""
    with tempfile.TemporaryDirectory(dir=LOGS, prefix="planted-") as name:
        report = planted(LOGS, Path(name))
    lost, doubled = len(report.lost) - len(found.lost), len(report.doubled) - len(found.doubled)
    return [
        bars.Row("found of one planted loss", f"{lost}", "1", lost == 1),
        bars.Row("found of one planted double", f"{doubled}", "1", doubled == 1),
    ]


def _say(console: Console, started: float, line: str) -> None:
    """With the machine's load beside it: times mean nothing where others take the processors."""
    passed, load = time.monotonic() - started, os.getloadavg()[0]
    console.print(f"[dim]{passed:4.0f} s, load {load:4.1f}[/dim]  {line}", highlight=False)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="draws the same plan again")
    parser.add_argument("--short", action="store_true", help="a few faults; no bar but that nothing is lost or doubled")
    parser.add_argument("--judge", action="store_true", help="no run: read the logs of the last one again")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
