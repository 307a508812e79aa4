"""What a message costs with a great many waiting, beside few: CPU seconds of server, worker and Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from benchmarks import orders
from benchmarks.plan import Plan
from benchmarks.processes import BenchError, CpuMeter
from benchmarks.rows import Row, compared
from benchmarks.stand import Stand, in_flight, stand, trigger

OURS = ("server", "worker", "redis")
WARM = 500  # messages of a new worker that do not count: it imports, compiles, connects
_PATIENCE_S, _POLL_S = 120.0, 0.02


async def measure(plan: Plan) -> list[Row]:
    """Rounds in turn: queue some more and let a new worker send as many, where many wait and where nobody does."""
    many: list[float] = []
    few: list[float] = []
    async with (
        stand(plan.directory, worker=False, maxmemory="4gb") as full,
        stand(plan.directory, worker=False, maxmemory="4gb") as empty,
    ):
        await trigger(full, orders.calls(plan.cost_backlog))
        for _ in range(plan.cost_rounds):
            few.append(await _cost_us(empty, plan.cost_few))
            many.append(await _cost_us(full, plan.cost_few))
        waiting = await in_flight(full)
    note = f"CPU of {', '.join(OURS)}; {plan.cost_rounds} rounds of {plan.cost_few:,}, {waiting:,} still waiting"
    return [compared("cost_at_200k_vs_2k", "us/msg", many, few, note)]


async def _cost_us(clarion: Stand, count: int) -> float:
    """CPU microseconds a message: of queueing it, and of sending one of those that wait."""
    before, queued = await in_flight(clarion), WARM + count
    meter = CpuMeter(clarion.pids)
    await trigger(clarion, orders.calls(queued))
    queueing = _ours(meter.read()) / queued
    with clarion.worker() as worker:
        first = await _down_to(clarion, before + count)
        meter = CpuMeter({**clarion.pids, "worker": worker.pid})
        last = await _down_to(clarion, before)
        sending = _ours(meter.read()) / (first - last)
    return 1e6 * (queueing + sending)


def _ours(used: Mapping[str, float]) -> float:
    return sum(used.get(name, 0) for name in OURS)


async def _down_to(clarion: Stand, count: int) -> int:
    """How many are in flight, once it is no more than so many: what is recorded was sent and paid for."""
    deadline = time.monotonic() + _PATIENCE_S
    while (left := await in_flight(clarion)) > count:
        if time.monotonic() > deadline:
            raise BenchError(f"{left:,} deliveries are in flight after {_PATIENCE_S:g} s, {count:,} were awaited")
        await asyncio.sleep(_POLL_S)
    return left
