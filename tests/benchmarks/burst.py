"""A burst of calls all at once: each is answered, or refused in a way that says when to come again."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from benchmarks import orders
from benchmarks.plan import Plan
from benchmarks.rows import Row
from benchmarks.stand import stand

CHANNELS = 5
REFUSALS = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
_Call = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


async def measure(plan: Plan) -> list[Row]:
    """Calls that ended otherwise than OK or refused with RetryInfo; of these none may be."""
    requests = orders.unary()
    async with stand(plan.directory, worker=False) as clarion, AsyncExitStack() as stack:
        own = [("grpc.use_local_subchannel_pool", 1)]  # a connection each, as callers apart have
        creates: list[_Call] = [
            (await stack.enter_async_context(grpc.aio.insecure_channel(clarion.target, own))).unary_unary(orders.METHOD)
            for _ in range(CHANNELS)
        ]
        ended = Counter(
            await asyncio.gather(*(_end(creates[n % CHANNELS], requests[n % len(requests)]) for n in range(plan.burst)))
        )
    wrong = sum(count for end, count in ended.items() if end != "OK" and not end.endswith(_RETRY))
    said = ", ".join(f"{count} {end}" for end, count in ended.most_common())
    return [Row(id="burst_cancelled", value=wrong, unit="calls", note=f"of {plan.burst:,} at once: {said}")]


_RETRY = " with RetryInfo"


async def _end(create: _Call, request: bytes) -> str:
    try:
        await create(request)
    except grpc.aio.AioRpcError as error:
        told = error.code() in REFUSALS and _says_when(error)
        return f"{error.code().name}{_RETRY if told else ''}"
    return "OK"


def _says_when(error: grpc.aio.AioRpcError) -> bool:
    status = rpc_status.from_call(error)
    return status is not None and any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in status.details)
