"""How long one trigger takes to the sink while nothing else is going on, and what it leaves in Redis."""

from __future__ import annotations

import asyncio
import random
import time

from benchmarks import orders
from benchmarks.plan import Plan
from benchmarks.rows import Row, share
from benchmarks.sink import watch
from benchmarks.stand import caller, stand
from benchmarks.weigh import Scales

_PAUSE_S = (0.01, 0.05)  # between two triggers: the one before is recorded, and no timer is met in step
_PATIENCE_S = 30.0


async def measure(plan: Plan) -> list[Row]:
    """Trigger → sink, one at a time."""
    requests = orders.unary()
    times_ms: list[float] = []
    async with (
        stand(plan.directory) as clarion,
        watch(clarion.sink_port) as sinks,
        caller(clarion.target) as create,
        Scales.beside(clarion) as scales,
    ):
        for number in range(plan.idle + 5):
            await sinks.expect(1)
            started = time.monotonic()
            await create(requests[number % len(requests)])
            arrived = await sinks.last(_PATIENCE_S)
            times_ms.append(1000 * (arrived - started))
            await asyncio.sleep(random.uniform(*_PAUSE_S))
        kept = await scales.bytes_each(plan.idle + 5)
    times_ms = sorted(times_ms[5:])  # the first ones compile the templates and open the connections
    note = f"{len(times_ms)} triggers, one at a time"
    return [
        Row(id="idle_p50_ms", value=share(times_ms, 0.50), unit="ms", note=note),
        Row(id="idle_p99_ms", value=share(times_ms, 0.99), unit="ms"),
        Row(id="redis_bytes_per_unary_trigger", value=kept.each, unit="bytes", note=kept.note),
    ]
