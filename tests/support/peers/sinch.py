"""Sinch's `POST /xms/v1/{service_plan_id}/batches`, as its documentation describes it."""

from __future__ import annotations

import re
import ssl
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import ClassVar

import trustme
from aiohttp import web

from .described import DescribedPeer, behaviour_of, example
from .over_http import Refused, Taken, serving

FIELDS = {"to", "from", "type", "body", "delivery_report", "send_at", "expire_at", "callback_url", "client_reference"}
REFUSALS = {
    "refuses the recipient": (400, "syntax_invalid_parameter_format"),
    "refuses the message": (400, "syntax_constraint_violation"),
    "refuses for now": (503, "unavailable"),
    "throttles": (429, "too_many_requests"),
}


class SinchPeer(DescribedPeer):
    TESTED_BY = "a server with Sinch's documented rules"
    PART: ClassVar = example("sinch", "SINCH_API_TOKEN")
    VARIABLE: ClassVar = "SINCH_API_TOKEN"

    def keys(self) -> None:
        """It has none: `client_reference` comes back in reports, and says nothing of repetitions."""

    async def read(self, request: web.Request) -> tuple[str, Taken]:
        if request.headers.get("Authorization") != "Bearer right4711":
            raise Refused(web.Response(status=401))
        if (request.method, request.path) != ("POST", "/xms/v1/your_service_plan_id/batches"):
            raise Refused(web.Response(status=404))
        asked = await request.json()
        if asked.keys() - FIELDS or asked["type"] != "mt_text" or not 0 < len(asked["body"]) <= 2_000:
            raise Refused(error(400, "syntax_constraint_violation"))
        if len(asked["client_reference"]) > 128 or asked["delivery_report"] not in ("none", "summary", "per_recipient"):
            raise Refused(error(400, "syntax_constraint_violation"))
        [to] = asked["to"]
        if not re.fullmatch(r"\+?[1-9]\d{5,14}", to):
            raise Refused(error(400, "syntax_invalid_parameter_format"))
        left = datetime.fromisoformat(asked["expire_at"]) - datetime.now(UTC)
        taken = Taken(
            delivery=asked["client_reference"],
            text=asked["body"],
            lifetime_s=left.total_seconds(),
            id=f"01FC66621{len(self.taken):017}",
        )
        return behaviour_of(to), taken

    def answer(self, behaviour: str, taken: Taken) -> web.Response:
        if behaviour in REFUSALS:
            return error(*REFUSALS[behaviour])
        return web.json_response({"id": taken.id, "body": taken.text, "canceled": False}, status=201)


def error(status: int, code: str) -> web.Response:
    """A refusal in Sinch's form."""
    headers = {"Retry-After": "7"} if status == 429 else None
    return web.json_response({"code": code, "text": "In words."}, status=status, headers=headers)


def peer(server_tls: ssl.SSLContext, ca: trustme.CA) -> AbstractAsyncContextManager[SinchPeer]:
    running: AbstractAsyncContextManager[SinchPeer] = serving(SinchPeer(ca), server_tls)
    return running
