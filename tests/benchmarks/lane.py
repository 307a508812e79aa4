"""How long a transactional trigger takes to the sink with a great many marketing messages queued, and without them."""

from __future__ import annotations

import asyncio
import random
import time

import grpc

from benchmarks import orders
from benchmarks.plan import Plan
from benchmarks.rows import Row, share
from benchmarks.sink import SinkWatch, watch
from benchmarks.stand import Stand, add_campaign, caller, in_flight, stand, trigger

MARKETING, MARKETING_LANE = "spring-sale", "marketing"
A_SECOND = 25  # transactional triggers, whether or not the ones before arrived
SPARE = 1.2  # of the backlog, which shrinks from its first batch on
_PATIENCE_S = 60.0
_WARM = 20


async def measure(plan: Plan) -> list[Row]:
    """The same triggers twice: alone, and behind the backlog. A worker for each kind, as the README advises."""
    async with (
        stand(plan.directory, worker=False, timed=True, maxmemory="4gb") as clarion,
        watch(clarion.sink_port) as sinks,
    ):
        with clarion.worker("worker", lanes="urgent,transactional"), clarion.worker("bulk", lanes=MARKETING_LANE):
            return await _measured(plan, clarion, sinks)


async def _measured(plan: Plan, clarion: Stand, sinks: SinkWatch) -> list[Row]:
    await add_campaign(clarion, MARKETING, category="marketing")
    await _times_ms(clarion, sinks, _WARM, "warm.example")  # templates compiled, connections open
    idle = share(await _times_ms(clarion, sinks, plan.lane, "idle.example"), 0.99)
    await trigger(clarion, orders.calls(round(SPARE * plan.lane_backlog), campaign_id=MARKETING))
    before = await in_flight(clarion, MARKETING)
    times_ms = await _times_ms(clarion, sinks, plan.lane, "behind.example")
    after = await in_flight(clarion, MARKETING)
    behind = share(times_ms, 0.99)
    note = f"{plan.lane} triggers behind {before:,} to {after:,} messages; baseline: idle"
    return [
        Row(id="lane_p99_ms", value=behind, unit="ms", baseline=idle, ratio=behind / idle, note=note),
        Row(id="lane_p99_ratio", value=behind / idle, unit="x idle"),
        Row(id="lane_p50_ms", value=share(times_ms, 0.50), unit="ms"),
    ]


async def _times_ms(clarion: Stand, sinks: SinkWatch, count: int, domain: str) -> list[float]:
    """Milliseconds from a call to its message at the sink, the shortest first. Calls come at random, not in turn."""
    started: dict[str, float] = {}
    calls: list[asyncio.Task[None]] = []
    async with caller(clarion.target) as create:
        for number, request in enumerate(orders.calls(count, each=1, domain=domain)):
            await asyncio.sleep(random.expovariate(A_SECOND))
            started[f"{orders.user(number)}@{domain}"] = time.monotonic()
            calls.append(asyncio.create_task(_call(create, request)))
        await asyncio.gather(*calls)
    arrived = await sinks.times(domain, count, _PATIENCE_S)
    return sorted(1000 * (clock - started[address]) for address, clock in arrived)


async def _call(create: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes], request: bytes) -> None:
    await create(request)
