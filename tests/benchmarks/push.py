"""Push: notifications a second from one process, beside a bare loop with the same client that sends the same requests.

The bare loop makes nothing: its requests were built before.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
from hpack import HeaderTuple, NeverIndexedHeaderTuple

from benchmarks.plan import Plan
from benchmarks.processes import Child, module
from benchmarks.rows import Row, compared
from clarion_core.configuration.fcm import ServiceAccount
from clarion_core.domain.outcome import Sent
from clarion_workers.channels import Channel
from clarion_workers.channels.http import Request
from clarion_workers.channels.push import ApnsChannel, FcmChannel, PushMessage
from clarion_workers.channels.push.pool import Pool
from clarion_workers.channels.push.provider_token import ProviderToken
from clarion_workers.channels.push.stream_body import StreamBody
from support.push.notifications import EVERYTHING, notification, p256_private_key, pem, rsa_private_key

BATCH, AT_ONCE = 100, 8  # as a worker has them
CONNECTIONS, IN_FLIGHT = 64, 500

Ask = Callable[[Request], Awaitable[None]]


async def measure(plan: Plan) -> list[Row]:
    """FCM, then APNs."""
    with Child("push-sink", module("benchmarks.push_sink"), plan.directory, '"ready"') as sink:
        return [await _fcm(plan, sink.said["http"]), await _apns(plan, sink.said["http2"], sink.said["ca"])]


async def _fcm(plan: Plan, port: int) -> Row:
    url = f"http://127.0.0.1:{port}"
    account = ServiceAccount(
        client_email="bench", private_key=pem(rsa_private_key()), project_id="shop", token_uri=f"{url}/token"
    )
    channel = FcmChannel(account, url=url, connections=CONNECTIONS, timeout_s=30.0)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(request: Request) -> None:
            async with session.post(request.url, data=request.body, headers=request.headers) as response:
                await response.read()

        try:
            return await _compared("push_fcm", plan, channel, ask, CONNECTIONS)
        finally:
            await channel.close()


async def _apns(plan: Plan, port: int, authority: str) -> Row:
    url, token = f"https://127.0.0.1:{port}", ProviderToken(pem(p256_private_key()), key_id="K", team_id="T")
    contexts = [ssl.create_default_context(cadata=authority) for _ in range(2)]
    contexts[1].set_alpn_protocols(["h2"])
    channel = ApnsChannel(
        token, topic="shop", url=url, tls=contexts[0], connections=2, in_flight=IN_FLIGHT, timeout_s=30.0
    )
    pool = Pool(url, contexts[1], connections=2, timeout_s=30.0)

    async def ask(request: Request) -> None:
        headers = [HeaderTuple(":method", "POST"), HeaderTuple(":scheme", "https")]
        headers += [HeaderTuple(":authority", pool.authority), NeverIndexedHeaderTuple(":path", request.url)]
        headers += [HeaderTuple("authorization", f"bearer {token.get()}")]
        headers += [NeverIndexedHeaderTuple(*pair) for pair in request.headers.items()]
        await pool.request(headers, StreamBody(request.body))

    try:
        return await _compared("push_apns", plan, channel, ask, IN_FLIGHT)
    finally:
        await channel.close()
        await pool.close()


async def _compared(row: str, plan: Plan, channel: FcmChannel | ApnsChannel, ask: Ask, at_once: int) -> Row:
    messages = [notification(n, f"{n:064x}", **EVERYTHING) for n in range(plan.push)]
    await channel.send(messages[:BATCH])  # opens the connections, fetches the token
    requests = [made for message in messages if isinstance(made := await channel.request(message), Request)]
    await _loop(requests[:BATCH], ask, at_once)
    ours, bare = list[float](), list[float]()
    for _ in range(plan.push_rounds):
        ours.append(plan.push / await _timed(_sent(channel, messages)))
        bare.append(plan.push / await _timed(_loop(requests, ask, at_once)))
    return compared(row, "msg/s", ours, bare, note=f"{len(requests[0].body):,} bytes a notification; one process")


async def _timed(work: Awaitable[Any]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def _sent(channel: Channel[PushMessage], messages: Sequence[PushMessage]) -> None:
    batches = (messages[at : at + BATCH] for at in range(0, len(messages), BATCH))

    async def some() -> None:
        for batch in batches:
            outcomes = await channel.send(batch)
            if not all(isinstance(outcome, Sent) for outcome in outcomes):
                raise SystemExit("not all were sent")

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


async def _loop(requests: Sequence[Request], ask: Ask, at_once: int) -> None:
    source = iter(requests)

    async def some() -> None:
        for request in source:
            await ask(request)

    await asyncio.gather(*(some() for _ in range(at_once)))
