"""Infobip's `POST /sms/3/messages`, as its documentation and its own clients describe it."""

from __future__ import annotations

import re
import ssl
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import trustme
from aiohttp import web

from .described import DescribedPeer, behaviour_of, example
from .over_http import Refused, Taken, serving

STATUSES = {
    "refuses the recipient": (5, "REJECTED", 14, "REJECTED_DESTINATION"),
    "refuses the message": (5, "REJECTED", 25, "REJECTED_MESSAGE_TOO_LONG"),
    "refuses for now": (5, "REJECTED", 21, "REJECTED_SYSTEM_ERROR"),
}
ACCEPTED = (1, "PENDING", 26, "PENDING_ACCEPTED")
DUPLICATE = (5, "REJECTED", 23, "REJECTED_DUPLICATE_MESSAGE_ID")


class InfobipPeer(DescribedPeer):
    TESTED_BY = "a server with Infobip's documented rules"
    PART: ClassVar = example("infobip", "INFOBIP_API_KEY")
    KNOWN: ClassVar = "App right4711"
    VARIABLE: ClassVar = "INFOBIP_API_KEY"

    async def read(self, request: web.Request) -> tuple[str, Taken]:
        if request.headers.get("Authorization") != "App right4711":
            raise Refused(error(401, "E401", "The request lacks valid authentication credentials."))
        if (request.method, request.path) != ("POST", "/sms/3/messages"):
            raise Refused(error(404, "E404", "Resource not found."))
        asked = await request.json()
        only(asked, "messages", "options")
        [message] = asked["messages"]
        only(message, "sender", "destinations", "content", "options", "webhooks")
        [destination] = message["destinations"]
        only(destination, "to", "messageId", "networkId")
        only(message["content"], "text", "transliteration", "language")
        only(message["webhooks"], "delivery", "contentType", "callbackData")
        validity = message["options"]["validityPeriod"]
        if not re.fullmatch(r"[1-9]\d{5,14}", destination["to"]) or not message["content"]["text"]:
            raise Refused(error(400, "E400", "Request cannot be processed."))
        assert validity["timeUnit"] in ("MINUTES", "SECONDS", "HOURS")
        assert type(validity["amount"]) is int
        assert 0 < validity["amount"] <= 172_800
        taken = Taken(
            delivery=destination["messageId"],
            text=message["content"]["text"],
            key=destination["messageId"],
            lifetime_s=float(validity["amount"]),
            id=destination["messageId"],
        )
        return behaviour_of(destination["to"]), taken

    def answer(self, behaviour: str, taken: Taken) -> web.Response:
        if behaviour == "throttles":
            return error(429, "E429", "Too many requests sent.", {"Retry-After": "7"})
        repeated = self.received().count(taken.delivery) > 1
        group, group_name, number, name = DUPLICATE if repeated else STATUSES.get(behaviour, ACCEPTED)
        status = {"groupId": group, "groupName": group_name, "id": number, "name": name, "description": "In words."}
        details = {"messageId": taken.id, "status": status, "destination": "4915123000001"}
        return web.json_response({"bulkId": "2034072219640523072", "messages": [details]})


def only(fields: dict[str, Any], *known: str) -> None:
    """Infobip refuses what it does not know."""
    if fields.keys() - set(known):
        raise Refused(error(400, "E400", "Request cannot be processed."))


def error(status: int, code: str, words: str, headers: dict[str, str] | None = None) -> web.Response:
    """A refusal in Infobip's form."""
    told = {
        "errorCode": code,
        "description": words,
        "action": "See the documentation.",
        "violations": [],
        "resources": [],
    }
    return web.json_response(told, status=status, headers=headers)


def peer(server_tls: ssl.SSLContext, ca: trustme.CA) -> AbstractAsyncContextManager[InfobipPeer]:
    running: AbstractAsyncContextManager[InfobipPeer] = serving(InfobipPeer(ca), server_tls)
    return running
