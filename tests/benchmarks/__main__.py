"""`python -m benchmarks`: every row; with names, those alone; `profile worker|server`: where the time goes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

import grpc
import uvloop
from rich.console import Console

from benchmarks import (
    accept,
    burst,
    ceiling,
    cost,
    deliver,
    dkim,
    failover,
    far,
    idle,
    lane,
    machine,
    overload,
    profiling,
    push,
    smpp,
    throttle,
    webhook,
    weigh,
)
from benchmarks.peers import side_by_side
from benchmarks.plan import Plan
from benchmarks.processes import BenchError
from benchmarks.rows import Row, show, write
from benchmarks.stand import KEPT, directory
from clarion_client import ClarionError
from clarion_stack.errors import StackError

OUTPUT = KEPT / "bench.json"
PARTS: Mapping[str, Callable[[Plan], Awaitable[list[Row]]]] = {
    "accept": accept.measure,
    "ceiling": ceiling.measure,
    "deliver": deliver.measure,
    "far": far.measure,
    "push": push.measure,
    "webhook": webhook.measure,
    "peers": side_by_side.measure,
    "failover": failover.measure,
    "smpp": smpp.measure,
    "idle": idle.measure,
    "lane": lane.measure,
    "throttle": throttle.measure,
    "burst": burst.measure,
    "overload": overload.measure,
    "cost": cost.measure,
    "memory": weigh.measure,
    "dkim": dkim.measure,
}


def main() -> int:
    """Exit code 0, whatever the figures; 1 where a row is void or could not be measured; 130 on Ctrl-C."""
    arguments = _arguments()
    console = Console(width=None if sys.stdout.isatty() else 200)
    with directory() as place:
        plan = Plan.quick(place) if arguments.quick else Plan(directory=place)
        try:
            if arguments.parts[:1] == ["profile"]:
                uvloop.run(profiling.profile(plan, arguments.parts[1], console))
                return 0
            rows = uvloop.run(_measure(plan, arguments.parts or list(PARTS), console))
        except KeyboardInterrupt:
            return 130
    show(rows, console)
    if not arguments.parts:
        write(rows, OUTPUT)
        console.print(f"Written to {OUTPUT}")
    return 1 if any(row.value is None for row in rows) else 0


async def _measure(plan: Plan, parts: Sequence[str], console: Console) -> list[Row]:
    rows = machine.facts(plan.directory)
    for name in parts:
        console.print(f"measuring {name} …")
        try:
            rows += await PARTS[name](plan)
        except (BenchError, StackError, ClarionError, grpc.RpcError) as error:
            rows.append(Row(id=name, value=None, unit="", note=str(error)))
    return rows


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; none: all, and bench.json")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, to see that it works")
    arguments = parser.parse_args()
    parts = arguments.parts
    profiled = [["profile", target] for target in profiling.TARGETS]
    if not set(parts) <= set(PARTS) and parts not in profiled:
        parser.error(f"parts are {', '.join(PARTS)}, or: profile {'|'.join(profiling.TARGETS)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
