"""How many messages a second from the first call to the last message at the sink, beside other ways to send them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from arq import create_pool
from arq.connections import RedisSettings

from benchmarks import obvious, orders
from benchmarks.plan import Plan
from benchmarks.processes import Child, CpuMeter, module, rss_mib
from benchmarks.rows import Row, compared
from benchmarks.sink import SinkWatch, watch
from benchmarks.stand import Stand, sink, stand, trigger
from clarion_stack.redis import RedisServer

PATIENCE_S = 120.0


async def measure(plan: Plan) -> list[Row]:
    """Rounds of the bare loop and Clarion in turn, then the obvious build."""
    calls = orders.calls(plan.deliveries)
    ours: list[float] = []
    bare: list[float] = []
    bare_cpu: list[float] = []
    cpu: list[dict[str, float]] = []
    async with stand(plan.directory, maxmemory="4gb") as clarion, watch(clarion.sink_port) as sinks:
        await send(clarion, sinks, orders.calls(plan.warm), plan.warm)  # templates compiled, caches full
        memory = _memory(clarion)
        for _ in range(plan.deliver_rounds):
            said = bare_loop(plan, clarion.sink_port)
            bare.append(plan.bare / said["seconds"])
            bare_cpu.append(1e6 * said["cpu_s"] / plan.bare)
            meter = CpuMeter(clarion.pids)
            ours.append(plan.deliveries / await send(clarion, sinks, calls, plan.deliveries))
            cpu.append({name: 1e6 * used / plan.deliveries for name, used in meter.read().items()})
        grown = {name: now - memory[name] for name, now in _memory(clarion).items()}
        rss = {name: rss_mib(clarion.pids[name]) for name in ("worker", "renderer")}
    plain = await obvious_rate(plan)
    sent = plan.deliver_rounds * plan.deliveries
    drift = f"{sent:,} messages: " + ", ".join(f"{name} {mib:+.1f}" for name, mib in grown.items())
    rows = [
        compared("deliver_vs_bare", "msg/s", ours, bare, f"{len(ours)} rounds of {plan.deliveries:,}"),
        compared("deliver_vs_obvious", "msg/s", ours, [plain]),
        Row(id="bare_loop", value=median(bare), unit="msg/s"),
        Row(id="obvious_build", value=plain, unit="msg/s", note=f"{plan.obvious:,} messages"),
        *_cpu_rows(cpu, median(bare_cpu)),
    ]
    rows += [
        *(Row(id=f"{name}_rss_mib", value=used, unit="MiB") for name, used in rss.items()),
        Row(id="rss_drift_mib", value=sum(grown.values()), unit="MiB", note=drift),
    ]
    return rows


def _cpu_rows(cpu: Sequence[Mapping[str, float]], bare: float) -> list[Row]:
    return [
        Row(
            id=f"deliver_cpu_{name}",
            value=median(used[name] for used in cpu),
            unit="us/msg",
            baseline=bare if name == "worker" else None,
        )
        for name in cpu[0]
    ]


def _memory(clarion: Stand) -> dict[str, float]:
    return {name: rss_mib(clarion.pids[name]) for name in ("server", "worker")}


async def send(clarion: Stand, sinks: SinkWatch, calls: Sequence[bytes], count: int) -> float:
    """Trigger everything; seconds from the first call to the last message at the sink."""
    await sinks.expect(count)
    started = time.monotonic()
    await trigger(clarion, calls)
    return await sinks.last(PATIENCE_S) - started


def bare_loop(plan: Plan, port: int, *options: object) -> dict[str, float]:
    """Run the bare loop; what it says."""
    command = module("benchmarks.bare", "--smtp-port", port, "--count", plan.bare, *options)
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
