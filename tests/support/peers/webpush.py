"""Web Push: a push service that checks VAPID and headers, and browsers that decrypt with http_ece."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import trustme

from clarion_workers.channels.push import PushMessage, WebPushChannel
from clarion_workers.channels.push.vapid import Vapid
from support.emails import closed_port
from support.push.notifications import notification, p256_private_key, pem
from support.push.push_service import PushService

from .peer import BEHAVIOURS, Peer


class WebPushPeer(Peer):
    """Before hand-over, the endpoint is a port that does not answer, or that closes, before TLS."""

    TESTED_BY = "an HTTPS push service that checks VAPID and headers, and decrypts with http_ece"
    behaviours = BEHAVIOURS
    LARGE = 3_000
    SECRETS = ("/push/", "p256dh", "Thank", "BEGIN PRIVATE KEY", "vapid t=")
    throttle_s = 7
    LOOKED_AT = False
    NAMES: ClassVar = {
        "takes": "browser",
        "refuses for now": "unavailable",
        "refuses the recipient": "gone",
        "refuses the message": "browser",
        "throttles": "throttle",
        "hangs before hand-over": "browser",
        "hangs after hand-over": "hang",
        "breaks before hand-over": "browser",
        "breaks after hand-over": "drop",
    }

    def __init__(self, service: PushService, tls: ssl.SSLContext) -> None:
        super().__init__()
        self.service, self.tls = service, tls
        self.released = service.released
        self.channels: list[WebPushChannel] = []
        self.nowhere = 0
        service.statuses |= {
            "unavailable": (503, {}),
            "gone": (410, {}),
            "throttle": (429, {"Retry-After": "7"}),
        }

    def channel(self, **changes: Any) -> WebPushChannel:
        ports = (self.service.port, self.service.mute_port, self.service.closing_port, self.nowhere)
        values: dict[str, Any] = {
            "vapid": Vapid(pem(p256_private_key("vapid")), subject="mailto:ops@shop.example"),
            "services": [f"127.0.0.1:{port}" for port in ports if port],
            "connections": 8,
            "timeout_s": 5.0,
            "tls": self.tls,
        } | changes
        self.channels.append(WebPushChannel(values.pop("vapid"), **values))
        return self.channels[-1]

    def unreachable(self) -> WebPushChannel:
        self.nowhere = closed_port()
        return self.channel()

    def wrongly_known(self) -> WebPushChannel:
        return self.channel(vapid=Vapid(pem(p256_private_key("another")), subject="mailto:ops@shop.example"))

    def distrusting(self) -> WebPushChannel:
        return self.channel(tls=None)  # the system's authorities do not know the service's

    def message(self, behaviour: str, number: int, text: str = "Thank you.\n") -> PushMessage:
        ports = {"hangs before hand-over": self.service.mute_port, "breaks before hand-over": self.service.closing_port}
        port = self.nowhere or ports.get(behaviour, 0)
        token = self.service.subscription(self.NAMES[behaviour], number, port)
        return notification(number, token, body="x" * 5_000 if behaviour == "refuses the message" else text)

    def received(self) -> list[str]:
        return [each.payload["notification"]["data"]["clarion"]["delivery"] for each in self.service.pushed]

    def received_texts(self) -> list[str]:
        return [each.payload["notification"]["body"] for each in self.service.pushed]

    async def wait_for(self, count: int) -> None:
        await self.service.wait_for(count)

    def keys(self) -> list[str]:
        return [each.headers["Topic"] for each in self.service.pushed]

    def lifetimes_s(self) -> list[float | None]:
        return [float(each.headers["TTL"]) for each in self.service.pushed]

    def ids(self) -> list[str]:
        return self.service.locations

    async def close(self) -> None:
        self.service.released.set()
        for channel in self.channels:
            await channel.close()


@asynccontextmanager
async def peer(server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[WebPushPeer]:
    trusting = ssl.create_default_context()
    ca.configure_trust(trusting)
    async with PushService(server_tls) as service:
        yield WebPushPeer(service, trusting)
