"""Whether a campaign's throttle holds, and is used up, while workers join and die."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks import orders
from benchmarks.plan import Plan
from benchmarks.processes import Child
from benchmarks.rows import Row
from benchmarks.sink import watch
from benchmarks.stand import Stand, add_campaign, stand, trigger

CAMPAIGN_ID = "throttled"
RATE, BURST = 50, 5  # a second; at once
WORKERS = 4
DOMAIN = "throttled.example"
SPARE = 1.5  # of the messages that are allowed: the queue is never empty
_PATIENCE_S = 60.0


async def measure(plan: Plan) -> list[Row]:
    """The largest second at the sink, and how many messages came of those that were allowed."""
    allowed = round(RATE * plan.throttle_s) + BURST
    throttle = {"rate_per_s": RATE, "burst": BURST}
    queued = orders.calls(round(SPARE * allowed), campaign_id=CAMPAIGN_ID, domain=DOMAIN)
    async with stand(plan.directory, worker=False, timed=True) as clarion, watch(clarion.sink_port) as sinks:
        await add_campaign(clarion, CAMPAIGN_ID, throttle=throttle)
        with ExitStack() as stack:
            workers = [stack.enter_context(clarion.worker(f"worker-{number}")) for number in range(WORKERS)]
            await trigger(clarion, queued)
            [(_, first), *_] = await sinks.times(DOMAIN, 1, _PATIENCE_S)
            await _come_and_go(clarion, stack, workers, first, plan.throttle_s)
            clocks = [clock for _, clock in await sinks.times(DOMAIN, 0, _PATIENCE_S)]
    came = [clock for clock in clocks if clock < first + plan.throttle_s]
    largest, most = largest_second(came), RATE + BURST
    note = f"{RATE}/s and {BURST} at once, {plan.throttle_s:g} s, {WORKERS} workers, 2 of them killed and replaced"
    return [
        Row(id="throttle_window_max", value=largest, unit="msg", baseline=most, ratio=largest / most, note=note),
        Row(id="throttle_total", value=len(came), unit="msg", baseline=allowed, ratio=len(came) / allowed),
    ]


async def _come_and_go(
    clarion: Stand, stack: ExitStack, workers: Sequence[Child], first: float, seconds: float
) -> None:
    """Until the time is over: a worker is killed, one joins, and the same again."""
    for step, worker in enumerate(workers[:2]):
        await _until(first + (2 * step + 1) * seconds / 5)
        worker.kill()
        await _until(first + (2 * step + 2) * seconds / 5)
        stack.enter_context(clarion.worker(f"joined-{step}"))
    await _until(first + seconds)


async def _until(clock: float) -> None:
    await asyncio.sleep(max(0.0, clock - time.monotonic()))


def largest_second(clocks: Sequence[float]) -> int:
    """How many came in the second in which most came."""
    return max(bisect_left(clocks, clock + 1) - number for number, clock in enumerate(clocks))
