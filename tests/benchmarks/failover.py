"""How long it takes from a provider that goes away to the first message at the other one, and back again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from statistics import median

from benchmarks import orders
from benchmarks.plan import Plan
from benchmarks.processes import Child, module
from benchmarks.rows import Row
from benchmarks.sink import watch
from benchmarks.stand import Stand, caller, sink, stand
from clarion_stack.local import free_port, script

_FIRST_S, _STEP_S = 2.0, 1.5  # how long the provider is away: once, and longer each time
_EVERY_S = 0.01  # between two triggers
_PATIENCE_S = 60.0
_FILE = """\
email:
  routing: order
  providers:
    - {{name: primary, smtp: {{host: 127.0.0.1, port: {primary}}}}}
    - {{name: backup, smtp: {{host: 127.0.0.1, port: {backup}}}}}
"""


async def measure(plan: Plan) -> list[Row]:
    """End the first provider under a stream of single triggers, and start it again.

    How long coming back takes is told by how long it was away: nobody asks before the breaker's pause is over. Each
    outage has a store of its own, since a breaker remembers the one before.
    """
    outages_s = [_FIRST_S + _STEP_S * number for number in range(plan.outages)]
    measured = [await _outage(plan.directory, outage_s) for outage_s in outages_s]
    switches_ms, backs_ms = ([1000 * each for each in side] for side in zip(*measured, strict=True))
    told = f"outages of {', '.join(f'{outage_s:g}' for outage_s in outages_s)} s"
    return [
        Row(id="failover_switch_ms", value=median(switches_ms), unit="ms", note=f"{told}, {_longest(switches_ms)}"),
        Row(id="failover_back_ms", value=median(backs_ms), unit="ms", note=_longest(backs_ms)),
    ]


def _longest(times_ms: list[float]) -> str:
    return f"longest {max(times_ms):,.0f}"


async def _outage(place: Path, outage_s: float) -> tuple[float, float]:
    """Seconds from the end of the primary to the next message at the backup, and from its begin to its next one."""
    port = free_port()
    async with AsyncExitStack() as stack:
        backup = int(stack.enter_context(sink(place)).said["port"])
        clarion = await stack.enter_async_context(stand(place, worker=False))
        stack.enter_context(_worker(place, clarion, port, backup))
        with _sink_at(place, port):
            await stack.enter_async_context(_stream(clarion))
            others = await stack.enter_async_context(watch(backup))
            async with watch(port) as firsts:
                await firsts.expect(1)
                await firsts.last(_PATIENCE_S)  # it is in use
            await others.expect(1)
            ended = time.monotonic()
        switched = await others.last(_PATIENCE_S) - ended
        await asyncio.sleep(outage_s)
        with _sink_at(place, port):
            async with watch(port) as firsts:
                begun = time.monotonic()
                await firsts.expect(1)
                return switched, await firsts.last(_PATIENCE_S) - begun


@asynccontextmanager
async def _stream(clarion: Stand) -> AsyncIterator[None]:
    """Triggers of one recipient, one after the other, while inside."""
    async with caller(clarion.target) as create:

        async def go_on() -> None:
            for request in orders.unary() * 1000:
                await create(request)
                await asyncio.sleep(_EVERY_S)

        stream = asyncio.create_task(go_on())
        try:
            yield
        finally:
            stream.cancel()
            with suppress(asyncio.CancelledError):
                await stream


def _sink_at(place: Path, port: int) -> Child:
    return Child("primary", module("support.smtp_sink", "--fast", "--port", port), place, '"port"')


def _worker(place: Path, clarion: Stand, primary: int, backup: int) -> Child:
    file = place / "channels.yaml"
    file.write_text(_FILE.format(primary=primary, backup=backup), "utf-8")
    told = {
        "CLARION_REDIS_URL": clarion.redis_url,
        "CLARION_LOG_FORMAT": "json",
        "CLARION_CHANNELS": str(file),
    }
    return Child("worker", [script("clarion-worker")], place, '"working"', told)
