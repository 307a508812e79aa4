"""Webhooks: signed calls a second from one process, beside a bare aiohttp loop that posts the same bytes.

The bare loop signs nothing, guards nothing and bounds nothing but its connections: its requests were made before. The
other row is of an endpoint that answers after 100 ms: what bounded connections are good for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import Any

import aiohttp

from benchmarks.plan import Plan
from benchmarks.processes import Child, module
from benchmarks.rows import Row, compared
from clarion_core.domain.outcome import Sent
from clarion_workers.channels.http import Request
from clarion_workers.channels.webhook import WebhookChannel, WebhookMessage
from support.webhooks.calls import call, opened

BATCH, AT_ONCE = 100, 4  # as a worker has them
CONNECTIONS = 64
SLOW_CONNECTIONS, SLOW_AT_ONCE = 512, 8  # as the slow mail server has them
TEXT = "A line of a document, as services write them when they have something to say. " * 8


async def measure(plan: Plan) -> list[Row]:
    """An endpoint that answers at once, then one that takes its time."""
    with Child("webhook-sink", module("benchmarks.webhook_sink"), plan.directory, '"ready"') as sink:
        return [await _fast(plan, sink.said["fast"]), await _slow(plan, sink.said["slow"])]


async def _fast(plan: Plan, port: int) -> Row:
    channel, messages = _channel(port, CONNECTIONS), _messages(plan.webhooks, port)
    requests = [made for message in messages if isinstance(made := await channel.request(message), Request)]
    ours, bare = list[float](), list[float]()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:
        await _sent(channel, messages[:BATCH])
        await _posted(session, requests[:BATCH])
        for _ in range(plan.webhook_rounds):
            ours.append(plan.webhooks / await _timed(_sent(channel, messages)))
            bare.append(plan.webhooks / await _timed(_posted(session, requests)))
    await channel.close()
    note = f"{len(messages[0].body):,} bytes a document, HMAC-SHA256; one process"
    return compared("webhook", "msg/s", ours, bare, note=note)


async def _slow(plan: Plan, port: int) -> Row:
    channel, messages = _channel(port, SLOW_CONNECTIONS), _messages(plan.webhooks, port)
    await _sent(channel, messages[: BATCH * SLOW_AT_ONCE], SLOW_AT_ONCE)
    took = await _timed(_sent(channel, messages, SLOW_AT_ONCE))
    await channel.close()
    return Row(
        id="webhook_slow_endpoint",
        value=plan.webhooks / took,
        unit="msg/s",
        note=f"answered after 100 ms; one process, {SLOW_CONNECTIONS} connections, {SLOW_AT_ONCE} batches of {BATCH}",
    )


def _channel(port: int, connections: int) -> WebhookChannel:
    return opened(
        connections=connections,
        endpoint_connections=connections,
        timeout_s=30.0,
        egress={"origins": [f"http://127.0.0.1:{port}"]},
    )


def _messages(count: int, port: int) -> list[WebhookMessage]:
    return [call(number, f"http://127.0.0.1:{port}/hooks/{number % 50}", TEXT) for number in range(count)]


async def _timed(work: Awaitable[Any]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def _sent(channel: WebhookChannel, messages: Sequence[WebhookMessage], at_once: int = AT_ONCE) -> None:
    batches = (messages[at : at + BATCH] for at in range(0, len(messages), BATCH))

    async def some() -> None:
        for batch in batches:
            outcomes = await channel.send(batch)
            if not all(isinstance(outcome, Sent) for outcome in outcomes):
                raise SystemExit("not all calls were taken")

    await asyncio.gather(*(some() for _ in range(at_once)))


async def _posted(session: aiohttp.ClientSession, requests: Sequence[Request]) -> None:
    source = iter(requests)

    async def some() -> None:
        for request in source:
            async with session.post(request.url, data=request.body, headers=request.headers) as response:
                await response.read()

    await asyncio.gather(*(some() for _ in range(CONNECTIONS)))
