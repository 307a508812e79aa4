"""The HTTP door: one path a source. What is answered tells nobody whether a delivery exists."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from starlette import requests
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from clarion_core import logs
from clarion_core.domain.errors import ClarionError
from clarion_core.hearing import Hearing
from clarion_edge.certificates import Unfetched
from clarion_edge.receipt import Answered, Forged, Malformed, Receipt, Request, Source, Told
from clarion_edge.tally import Tally

LONGEST_BODY = 512 * 1024  # SNS posts 256 KiB at most, and wraps it
BODY_S = 10.0
_LATER = {"Retry-After": "5"}

log = logs.get(__name__)


class Door:
    """Answers HTTP. `ready` says whether the store is there; `public_url` is what sources call us by."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        hearing: Hearing,
        tally: Tally,
        *,
        public_url: str,
        ready: Callable[[], Awaitable[bool]],
    ) -> None:
        self._sources, self._hearing, self._tally = sources, hearing, tally
        self._public_url, self._ready = public_url.rstrip("/"), ready
        methods = ["GET", "POST"]
        self.app = Starlette(
            routes=[
                Route("/healthz", self._alive),
                Route("/readyz", self._readiness),
                Route("/receipts/{source}", self._receipts, methods=methods),
                Route("/receipts/{source}/{key}", self._receipts, methods=methods),
            ],
            exception_handlers={Exception: _defect},
        )

    async def _alive(self, _: requests.Request) -> Response:
        return PlainTextResponse("alive\n")

    async def _readiness(self, _: requests.Request) -> Response:
        return PlainTextResponse("ready\n") if await self._ready() else PlainTextResponse("not ready\n", 503)

    async def _receipts(self, asked: requests.Request) -> Response:
        name = asked.path_params["source"]
        source = self._sources.get(name)
        if source is None:
            return PlainTextResponse("there is nothing here\n", 404)
        try:
            async with asyncio.timeout(BODY_S):
                body = await _body(asked)
        except (TimeoutError, requests.ClientDisconnect):
            return self._refused(name, "malformed", PlainTextResponse("the request did not arrive\n", 408))
        if body is None:
            return self._refused(name, "malformed", PlainTextResponse("the body is too large\n", 413))
        return await self._answer(name, source, self._request(asked, body))

    async def _answer(self, name: str, source: Source, request: Request) -> Response:
        try:
            told = await source.read(request)
            await self._hear(name, told)
        except Forged as error:
            log.warning("receipt_forged", source=name, problem=str(error))
            return self._refused(name, "forged", PlainTextResponse("not believed\n", 403))
        except Malformed as error:
            log.warning("receipt_malformed", source=name, problem=str(error))
            return self._refused(name, "malformed", PlainTextResponse("not understood\n", 400))
        except Unfetched as error:
            log.warning("certificate_unfetched", source=name, problem=str(error))
            return self._refused(name, "failed", PlainTextResponse("come again\n", 503, _LATER))
        except ClarionError as error:
            log.warning("receipt_not_noted", source=name, reason=error.reason)
            return self._refused(name, "failed", PlainTextResponse("come again\n", 503, _LATER))
        self._tally.count(name, "told" if told else "ignored")
        return Response(status_code=200, media_type="text/plain")

    async def _hear(self, name: str, told: Told) -> None:
        for each in told:
            match each:
                case Receipt(delivery_id=delivery, fact=fact, unsubscribed=unsubscribed):
                    noted = await self._hearing.hear(delivery, fact, unsubscribed=unsubscribed)
                    self._tally.noted(name, fact, noted)
                case Answered(channel=channel, address=address, stop=True, workspaces=workspaces):
                    await self._hearing.stop(workspaces, channel, address, source=name)
                case Answered(channel=channel, address=address, workspaces=workspaces):
                    await self._hearing.start(workspaces, channel, address)

    def _refused(self, name: str, answer: str, response: Response) -> Response:
        self._tally.count(name, answer)
        return response

    def _request(self, asked: requests.Request, body: bytes) -> Request:
        path = asked.scope["raw_path"].decode("latin-1")
        query = asked.scope["query_string"].decode("latin-1")
        return Request(
            method=asked.method,
            url=f"{self._public_url}{path}{'?' + query if query else ''}",
            query=query,
            headers=dict(asked.headers),
            body=body,
            key=asked.path_params.get("key", ""),
        )


async def _body(asked: requests.Request) -> bytes | None:
    """The body; None where it is too large, whatever its headers say."""
    body = bytearray()
    async for chunk in asked.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            return None
    return bytes(body)


async def _defect(_: requests.Request, error: Exception) -> Response:
    """A defect of ours: the log has it, the caller comes again."""
    return PlainTextResponse("come again\n", 500)
