"""Ten times as many calls as can be accepted: is as much accepted as before, and does memory stop growing?"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from benchmarks import h2, orders
from benchmarks.flood import flood
from benchmarks.plan import Plan
from benchmarks.processes import rss_mib
from benchmarks.rows import Row
from benchmarks.stand import stand

TIMES = 10
PATIENCE_S = 5  # of every caller
_SAMPLE_S = 0.2


async def measure(plan: Plan) -> list[Row]:
    """The peak first, then the flood. Memory is the server's, in the flood's second half beside its first."""
    messages, seconds = orders.unary(), plan.overload_s
    async with stand(plan.directory, worker=False, maxmemory="8gb") as clarion:
        await h2.load(clarion.target, orders.METHOD, messages, seconds=1.0)
        peak = (await h2.load(clarion.target, orders.METHOD, messages, seconds=plan.peak_s)).rate
        memory: list[float] = []
        watching = asyncio.create_task(_watch(clarion.pids["server"], memory))
        try:
            came = await flood(
                clarion.target, orders.METHOD, messages, seconds=seconds, rate=TIMES * peak, patience_s=PATIENCE_S
            )
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
    good = came.good / seconds
    half = len(memory) // 2
    first, second = max(memory[:half]), max(memory[half:])
    note = f"{TIMES * peak:,.0f} calls/s for {seconds:g} s: {came.refused:,} refused, {came.given_up:,} given up"
    return [
        Row(id="overload_goodput", value=good, unit="calls/s", baseline=peak, ratio=good / peak, note=note),
        Row(id="overload_rss_mib", value=second, unit="MiB", baseline=first, ratio=second / first, note="server"),
    ]


async def _watch(pid: int, memory: list[float]) -> None:
    while True:
        memory.append(rss_mib(pid))
        await asyncio.sleep(_SAMPLE_S)
