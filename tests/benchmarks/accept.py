"""How many durable triggers a second, beside a bare echo of the same message, and how many recipients in batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import cycle
from statistics import median

from benchmarks import h2, orders
from benchmarks.plan import Plan
from benchmarks.processes import Child, CpuMeter, module
from benchmarks.rows import Row, compared
from benchmarks.stand import CALLS_AT_ONCE, Stand, caller, stand, store_of
from clarion_core.store.keys import key

WARM_S = 0.5
BATCHES = 53  # different ones, of about ten times all orders


async def measure(plan: Plan) -> list[Row]:
    """Rounds of echo, Clarion and Clarion in batches in turn.

    Void where the store does not hold exactly the triggers counted.
    """
    messages, batches = orders.unary(), orders.calls(BATCHES * orders.A_CALL)
    async with stand(plan.directory, worker=False, maxmemory="4gb") as clarion:
        with Child("echo", module("benchmarks.echo"), plan.directory, '"port"') as echo:
            side = {"echo": (f"127.0.0.1:{echo.said['port']}", {"server": echo.pid})}
            side["clarion"] = (clarion.target, {"server": clarion.pids["server"], "redis": clarion.pids["redis"]})
            rates: dict[str, list[float]] = {name: [] for name in (*side, "batch")}
            cpu: dict[str, list[dict[str, float]]] = {name: [] for name in side}
            called = failed = 0
            for seconds in [WARM_S] + [plan.accept_s] * plan.rounds:
                for name, (target, pids) in side.items():
                    meter = CpuMeter(pids)
                    loaded = await h2.load(target, orders.METHOD, messages, seconds=seconds)
                    used = meter.read()
                    if name == "clarion":
                        called, failed = called + loaded.calls, failed + loaded.failures
                    if seconds != WARM_S:
                        rates[name].append(loaded.rate)
                        cpu[name].append({part: 1e6 * s / max(1, loaded.calls) for part, s in used.items()})
                    await asyncio.sleep(0.1)  # lets what the load left behind end
                calls, rate = await _batches(clarion, batches, seconds)
                called += calls
                rates["batch"] += [rate] if seconds != WARM_S else []
        found = await _triggers(clarion)
    if failed or found != called:
        why = f"{called} calls were counted, {failed} failed, the store has {found} triggers"
        return [Row(id="accept_unary", value=None, unit="calls/s", note=why)]
    note = f"{called} triggers, all in the store"
    return [
        compared("accept_unary", "calls/s", rates["clarion"], rates["echo"], note),
        compared("accept_batch", "recipients/s", rates["batch"], rates["clarion"], f"{orders.A_CALL} a call"),
        *_cpu_rows(cpu),
    ]


async def _batches(clarion: Stand, batches: Sequence[bytes], seconds: float) -> tuple[int, float]:
    """Call with a hundred recipients each for so long: how many calls, and recipients a second."""
    endless, calls = cycle(batches), 0
    async with caller(clarion.target) as create:
        started = time.perf_counter()

        async def call_on() -> None:
            nonlocal calls
            while time.perf_counter() - started < seconds:
                await create(next(endless))
                calls += 1

        await asyncio.gather(*(call_on() for _ in range(CALLS_AT_ONCE)))
        return calls, calls * orders.A_CALL / (time.perf_counter() - started)


def _cpu_rows(cpu: dict[str, list[dict[str, float]]]) -> list[Row]:
    ours = {part: median(used[part] for used in cpu["clarion"]) for part in cpu["clarion"][0]}
    base = {part: median(used[part] for used in cpu["echo"]) for part in cpu["echo"][0]}
    return [
        Row(id=f"accept_cpu_{part}", value=value, unit="us/call", baseline=base.get(part))
        for part, value in ours.items()
    ]


async def _triggers(clarion: Stand) -> int:
    async with store_of(clarion) as store:
        return int(await store.command("ZCARD", key(0, "index", f"default/{orders.CAMPAIGN_ID}")))
