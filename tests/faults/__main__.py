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
from pathlib import Path

from rich.console import Console

from faults import bars, planted
from faults.figures import figures
from faults.plan import Plan
from faults.run import run

KEPT = Path(__file__).parents[2] / ".clarion"
LOGS, OUTPUT = KEPT / "faults", KEPT / "faults.json"


def main() -> int:
    """Exit code 0 where every bar is met, 1 where one is missed, 130 on Ctrl-C."""
    arguments = _arguments()
    console = Console(width=None if sys.stdout.isatty() else 160)
    plan = Plan.short() if arguments.short else Plan.whole()
    started = time.monotonic()
    if not arguments.judge:
        console.print(f"seed {arguments.seed}; logs in {LOGS}", highlight=False)
        shutil.rmtree(LOGS, ignore_errors=True)
        LOGS.mkdir(parents=True)
        try:
            asyncio.run(run(LOGS, plan, arguments.seed, say=lambda line: _say(console, started, line)))
        except KeyboardInterrupt:
            return 130
        finally:
            shutil.rmtree(LOGS / "redis", ignore_errors=True)
    found = figures(LOGS)
    rows = [*bars.rows(found, plan), *_planted()]
    bars.show(found, rows, console)
    if not arguments.short:
        bars.write(found, arguments.seed, OUTPUT)
        console.print(f"Written to {OUTPUT} after {(time.monotonic() - started) / 60:.1f} minutes", highlight=False)
    return 0 if all(row.met for row in rows) else 1


def _planted() -> list[bars.Row]:
    """Whether the verdict turns red where it must."""
    with tempfile.TemporaryDirectory(dir=KEPT, prefix="planted-") as name:
        lost = len(planted.loss(LOGS, Path(name)).lost)
        doubled = len(planted.double(LOGS, Path(name)).doubled)
    return [
        bars.Row("a planted loss is found", f"{lost}", "≥ 1", lost > 0),
        bars.Row("a planted double is found", f"{doubled}", "≥ 1", doubled > 0),
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
