"""How many messages a second from the first call to the last message at the sink, beside other ways to send them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from arq import create_pool
from arq.connections import RedisSettings

from benchmarks import obvious, orders
from benchmarks.plan import Plan
from benchmarks.processes import Child, CpuMeter, module, rss_mib
from benchmarks.rows import Row, compared
from benchmarks.sink import SinkWatch, watch
from benchmarks.stand import Stand, caller, sink, stand
from clarion_stack.redis import RedisServer

CALLS_AT_ONCE = 4
PATIENCE_S = 120.0
ENOUGH_S = 100.0  # on a slow or busy machine there are fewer rounds


async def measure(plan: Plan) -> list[Row]:
    """Rounds of the bare loop and Clarion in turn, then the obvious build."""
    calls = orders.calls(plan.deliveries)
    ours: list[float] = []
    bare: list[float] = []
    bare_cpu: list[float] = []
    cpu: list[dict[str, float]] = []
    async with stand(plan.directory) as clarion, watch(clarion.sink_port) as sinks:
        await send(clarion, sinks, orders.calls(500), 500)  # templates compiled, connections open
        enough = time.monotonic() + ENOUGH_S
        while not ours or (len(ours) < plan.deliver_rounds and time.monotonic() < enough):
            said = bare_loop(plan, clarion.sink_port)
            bare.append(plan.deliveries / said["seconds"])
            bare_cpu.append(1e6 * said["cpu_s"] / plan.deliveries)
            meter = CpuMeter(clarion.pids)
            ours.append(plan.deliveries / await send(clarion, sinks, calls, plan.deliveries))
            cpu.append({name: 1e6 * used / plan.deliveries for name, used in meter.read().items()})
        memory = {name: rss_mib(clarion.pids[name]) for name in ("worker", "renderer")}
    plain = await obvious_rate(plan)
    note = f"{len(ours)} rounds of {plan.deliveries:,}"
    rows = [
        compared("deliver_vs_bare", "msg/s", ours, bare, note),
        compared("deliver_vs_obvious", "msg/s", ours, [plain]),
        Row(id="bare_loop", value=median(bare), unit="msg/s"),
        Row(id="obvious_build", value=plain, unit="msg/s", note=f"{plan.obvious:,} messages"),
    ]
    rows += [
        Row(
            id=f"deliver_cpu_{name}",
            value=median(used[name] for used in cpu),
            unit="us/msg",
            baseline=median(bare_cpu) if name == "worker" else None,
        )
        for name in cpu[0]
    ]
    return [*rows, *(Row(id=f"{name}_rss_mib", value=used, unit="MiB") for name, used in memory.items())]


async def send(clarion: Stand, sinks: SinkWatch, calls: Sequence[bytes], count: int) -> float:
    """Trigger everything; seconds from the first call to the last message at the sink."""
    await sinks.expect(count)
    waiting = iter(calls)
    async with caller(clarion.target) as create:

        async def call_on() -> None:
            for request in waiting:
                await create(request)

        started = time.monotonic()
        await asyncio.gather(*(call_on() for _ in range(CALLS_AT_ONCE)))
        return await sinks.last(PATIENCE_S) - started


def bare_loop(plan: Plan, port: int) -> dict[str, float]:
    """Run the bare loop; what it says."""
    command = module("benchmarks.bare", "--smtp-port", port, "--count", plan.deliveries)
    with Child("bare", command, plan.directory, '"ready"') as child:
        return child.wait_for('"seconds"', PATIENCE_S)


async def obvious_rate(plan: Plan) -> float:
    """Messages a second of the obvious build."""
    place = plan.directory / "obvious"
    with RedisServer(place) as redis, sink(plan.directory) as mail:
        port = mail.said["port"]
        command = module("benchmarks.obvious", "--redis-socket", redis.socket, "--smtp-port", port)
        with Child("obvious", command, plan.directory, '"started"'):
            async with watch(port) as sinks:
                await _enqueue_and_wait(redis.socket, sinks, 50)  # connected and warm
                return plan.obvious / await _enqueue_and_wait(redis.socket, sinks, plan.obvious)


async def _enqueue_and_wait(socket: Path, sinks: SinkWatch, count: int) -> float:
    pool = await create_pool(RedisSettings(unix_socket_path=str(socket)))
    try:
        await sinks.expect(count)
        started = time.monotonic()
        for order in orders.plain(count):
            await pool.enqueue_job(obvious.JOB, order)
        return await sinks.last(PATIENCE_S) - started
    finally:
        await pool.aclose()
