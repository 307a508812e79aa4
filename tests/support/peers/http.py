"""A provider that uses all that can be described: a form, a name and password, an idempotency key, codes in answers."""

from __future__ import annotations

import base64
import re
import ssl
from contextlib import AbstractAsyncContextManager
from typing import ClassVar
from urllib.parse import parse_qsl

import trustme
from aiohttp import web

from clarion_core.configuration.http_sms import HttpSmsPart

from .described import DescribedPeer, behaviour_of
from .over_http import Refused, Taken, serving

DESCRIBED = HttpSmsPart.model_validate(
    {
        "url": "https://sms.example.com/api/messages",
        "method": "PUT",
        "auth": {"basic": {"username": "clarion", "password": {"env": "GATEWAY_PASSWORD"}}},
        "secrets": [{"name": "app", "secret": {"env": "GATEWAY_PASSWORD"}}],
        "headers": {"X-Parts": "{{segments}}"},
        "query": {"v": 2, "app": "{{secret.app}}"},
        "form": {"to": ["{{to}}"], "sender": "{{from}}", "message": "{{text}}", "ttl": "{{ttl_s}}", "flash": False},
        "success": {"status": [200], "at": "/state", "values": [0]},
        "id_at": "/id",
        "detail_at": "/text",
        "idempotency_header": "Idempotency-Key",
        "failures": [
            {"status": [200], "at": "/state", "values": [1], "reason": "RECIPIENT_REFUSED", "address": "unsubscribed"},
            {"status": [200], "at": "/state", "values": [2], "reason": "MESSAGE_REFUSED"},
            {"status": [200], "at": "/state", "values": ["3"], "reason": "PROVIDER_DEFERRED"},
            {"status": [418], "reason": "PROVIDER_DEFERRED"},
        ],
    }
)
STATES = {"takes": 0, "refuses the recipient": 1, "refuses the message": 2, "refuses for now": 3}


class GenericPeer(DescribedPeer):
    TESTED_BY = "a described server, and servers with the documented rules of Infobip and Sinch"
    PART: ClassVar = DESCRIBED
    VARIABLE: ClassVar = "GATEWAY_PASSWORD"
    KNOWN: ClassVar = f"Basic {base64.b64encode(b'clarion:right4711').decode()}"
    SECRETS = (*DescribedPeer.SECRETS, "clarion:", "cmlnaHQ0NzEx", "d3Jvbmc")

    async def read(self, request: web.Request) -> tuple[str, Taken]:
        known = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        if (known, request.query.get("app")) != ("clarion:right4711", "right4711"):
            raise Refused(web.json_response({"text": "who are you?"}, status=401))
        assert (request.method, request.path, request.query["v"]) == ("PUT", "/api/messages", "2")
        assert (request.content_type, request.headers["X-Parts"]) == ("application/x-www-form-urlencoded", "1")
        asked = dict(parse_qsl((await request.read()).decode("ascii"), strict_parsing=True))
        assert asked.keys() == {"to", "sender", "message", "ttl", "flash"}
        assert asked["flash"] == "false"
        assert re.fullmatch(r"\+\d{8,15}", asked["to"])
        key = request.headers["Idempotency-Key"]
        taken = Taken(
            delivery=key, text=asked["message"], key=key, lifetime_s=float(asked["ttl"]), id=f"g-{len(self.taken)}"
        )
        return behaviour_of(asked["to"]), taken

    def answer(self, behaviour: str, taken: Taken) -> web.Response:
        if behaviour == "throttles":
            return web.json_response({"text": "slower"}, status=418, headers={"Retry-After": "7"})
        return web.json_response({"state": STATES.get(behaviour, 0), "id": taken.id, "text": "in words"})


def peer(server_tls: ssl.SSLContext, ca: trustme.CA) -> AbstractAsyncContextManager[GenericPeer]:
    running: AbstractAsyncContextManager[GenericPeer] = serving(GenericPeer(ca), server_tls)
    return running
