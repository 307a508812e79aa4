"""Somebody's endpoint for webhooks: takes every call, and says whether it is signed as Standard Webhooks has it.

A host whose name begins with `gone.` wants no more calls, and answers 410.
"""

from __future__ import annotations

import hmac
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from clarion_core import logs
from clarion_core.configuration.webhook import SigningKey
from clarion_core.domain.medium import Channel
from clarion_stack.arrivals import Arrivals
from clarion_stack.http import application, served
from clarion_stack.records import Call

GONE = "gone."
TOLERANCE_S = 300
"""How old or early a call may be, so that a recorded one can't be played again later."""

VALID, WRONG, MISSING, STALE = "signature valid", "signature wrong", "not signed", "signed too long ago"


@asynccontextmanager
async def take_calls(arrivals: Arrivals, key: SigningKey, host: str, port: int) -> AsyncIterator[int]:
    """Take calls of every address while inside; yields the port, a free one for 0."""
    endpoint = _Endpoint(arrivals, key)
    app = application()
    app.router.add_route("*", "/{path:.*}", endpoint.call)
    async with served(app, host, port) as taken:
        yield taken


class _Endpoint:
    def __init__(self, arrivals: Arrivals, key: SigningKey) -> None:
        self._arrivals, self._key = arrivals, key

    async def call(self, request: web.Request) -> web.Response:
        """Take a call: 2xx once it is kept, 401 for one that is not ours."""
        if request.host.startswith(GONE):
            return web.Response(status=410)
        body = await request.read()
        signature = verdict(request.headers, body, self._key, time.time())
        record = Call(
            url=f"https://{request.host}{request.rel_url.raw_path_qs}",
            signature=signature,
            headers=[(str(name), value) for name, value in request.headers.items()],
            body=body.decode("utf-8", "replace"),
        )
        try:
            self._arrivals.keep(Channel.WEBHOOK, request.headers.get("webhook-id", ""), record)
        except OSError as error:
            logs.get(__name__).error("message_not_kept", error=error.strerror)
            return web.Response(status=503)
        return web.Response(status=204 if signature == VALID else 401)


def verdict(headers: Mapping[str, str], body: bytes, key: SigningKey, now_s: float) -> str:
    """What is to be said of a call's signature (Standard Webhooks 1.0, "Verifying webhook authenticity")."""
    known, timestamp, signatures = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (known and timestamp and signatures):
        return MISSING
    signed = f"{known}.{timestamp}.".encode() + body
    expected = b64encode(hmac.digest(key.value, signed, "sha256")).decode()
    offered = [each.removeprefix("v1,") for each in signatures.split(" ") if each.startswith("v1,")]
    if not any(hmac.compare_digest(each.encode(), expected.encode()) for each in offered):
        return WRONG
    # Only what is signed is worth reading.
    return VALID if abs(now_s - int(timestamp)) <= TOLERANCE_S else STALE
