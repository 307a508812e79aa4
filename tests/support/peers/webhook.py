"""Webhooks: an endpoint that verifies every call, and behaves as its path says."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import trustme

from clarion_workers.channels.webhook import WebhookChannel, WebhookMessage
from support.emails import closed_port
from support.webhooks.calls import SECRET, call, opened
from support.webhooks.consumer import Consumer

from .peer import BEHAVIOURS, Peer


class WebhookPeer(Peer):
    """Before hand-over, the endpoint is a port that does not answer, or that closes, before TLS."""

    TESTED_BY = "an HTTPS endpoint that verifies with `standardwebhooks` (PyPI); `standardwebhooks` (npm)"
    behaviours = BEHAVIOURS
    SECRETS = ("/takes/", "/refuse", "Thank", SECRET, SECRET.removeprefix("whsec_"))
    RECIPIENTS_OWN = True
    LOOKED_AT = False
    throttle_s = 7
    NAMES: ClassVar = {
        "takes": "takes",
        "refuses for now": "unavailable",
        "refuses the recipient": "gone",
        "refuses the message": "refuse",
        "throttles": "throttle",
        "hangs before hand-over": "takes",
        "hangs after hand-over": "hang",
        "breaks before hand-over": "takes",
        "breaks after hand-over": "drop",
    }

    def __init__(self, consumer: Consumer, ca_file: Path) -> None:
        super().__init__()
        self.consumer, self.ca_file = consumer, ca_file
        self.released = consumer.released
        self.channels: list[WebhookChannel] = []
        self.nowhere = 0
        consumer.statuses |= {
            "unavailable": (503, {}),
            "gone": (410, {}),
            "refuse": (413, {}),
            "throttle": (429, {"Retry-After": "7"}),
        }

    def channel(self, **changes: Any) -> WebhookChannel:
        ports = (self.consumer.port, self.consumer.mute_port, self.consumer.closing_port, self.nowhere)
        origins = [f"https://127.0.0.1:{port}" for port in ports if port]
        said: dict[str, Any] = {"ca_file": self.ca_file, "egress": {"origins": origins}, "max_bytes": 4_000_000}
        self.channels.append(opened(**(said | changes)))
        return self.channels[-1]

    def unreachable(self) -> WebhookChannel:
        self.nowhere = closed_port()
        return self.channel()

    def wrongly_known(self) -> WebhookChannel:
        return self.channel(secrets=[{"env": "OTHER"}])

    def distrusting(self) -> WebhookChannel:
        return self.channel(ca_file=None)  # the system's authorities do not know the endpoint's

    def message(self, behaviour: str, number: int, text: str = "Thank you.\n") -> WebhookMessage:
        ports = {
            "hangs before hand-over": self.consumer.mute_port,
            "breaks before hand-over": self.consumer.closing_port,
        }
        port = self.nowhere or ports.get(behaviour, self.consumer.port)
        return call(number, f"https://127.0.0.1:{port}/{self.NAMES[behaviour]}/{number}", text)

    def received(self) -> list[str]:
        return [each.id for each in self.consumer.called]

    def received_texts(self) -> list[str]:
        return [json.loads(each.body)["text"] for each in self.consumer.called]

    async def wait_for(self, count: int) -> None:
        await self.consumer.wait_for(count)

    def keys(self) -> list[str]:
        return [each.headers["webhook-id"] for each in self.consumer.called]

    async def close(self) -> None:
        self.released.set()
        for channel in self.channels:
            await channel.close()


@asynccontextmanager
async def peer(server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[WebhookPeer]:
    with ca.cert_pem.tempfile() as ca_file:
        async with Consumer(SECRET, server_tls) as consumer:
            yield WebhookPeer(consumer, Path(ca_file))
