"""Apple Push Notification service: an HTTP/2 server that checks tokens, headers and payloads by Apple's documents."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import trustme

from clarion_workers.channels.push import ApnsChannel, PushMessage
from clarion_workers.channels.push.provider_token import ProviderToken
from support.emails import closed_port
from support.push import apns_server
from support.push.apns_rules import KEY_ID, TEAM, TOPIC
from support.push.apns_server import ApnsServer, device
from support.push.notifications import notification, p256_private_key, pem

from .peer import BEHAVIOURS, Peer


def provider_token(key: str = "apns", **changes: str) -> ProviderToken:
    values = {"key_id": KEY_ID, "team_id": TEAM} | changes
    return ProviderToken(pem(p256_private_key(key)), **values)


class ApnsPeer(Peer):
    """Before hand-over it hangs by giving a stream no window, and breaks by refusing the stream.

    Apple has no words for how long to wait.
    """

    TESTED_BY = "an HTTP/2 server with h2 that checks tokens, headers and payloads; `@parse/node-apn` against the same"
    behaviours = tuple(each for each in BEHAVIOURS if each != "throttles")
    LARGE = 3_000
    SECRETS = ("00000000", "01010101", "02020202", "Thank", "BEGIN PRIVATE KEY", "bearer")
    BEGINNINGS: ClassVar = {
        "takes": apns_server.TAKES,
        "refuses for now": apns_server.UNAVAILABLE,
        "refuses the recipient": apns_server.BAD,
        "refuses the message": apns_server.TAKES,
        "hangs before hand-over": apns_server.NO_WINDOW,
        "hangs after hand-over": apns_server.HANGS,
        "breaks before hand-over": apns_server.REFUSED_STREAM,
        "breaks after hand-over": apns_server.RESET,
    }

    def __init__(self, server: ApnsServer, ca: trustme.CA) -> None:
        super().__init__()
        self.server, self.ca = server, ca
        self.released = server.released
        self.channels: list[ApnsChannel] = []

    def channel(self, **changes: Any) -> ApnsChannel:
        """`connections` is how many messages are on the way at once, as for other kinds."""
        values: dict[str, Any] = {
            "token": provider_token(),
            "topic": TOPIC,
            "url": self.server.url,
            "tls": self.trusting(),
            "in_flight": changes.pop("connections", 50),
            "connections": 2,
            "timeout_s": 5.0,
        } | changes
        self.channels.append(ApnsChannel(values.pop("token"), **values))
        return self.channels[-1]

    def trusting(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context

    def unreachable(self) -> ApnsChannel:
        return self.channel(url=f"https://127.0.0.1:{closed_port()}")

    def wrongly_known(self) -> ApnsChannel:
        return self.channel(token=provider_token("another"))

    def distrusting(self) -> ApnsChannel:
        return self.channel(tls=ssl.create_default_context())  # the system's authorities do not know the server's

    def message(self, behaviour: str, number: int, text: str = "Thank you.\n") -> PushMessage:
        token = device(self.BEGINNINGS[behaviour], number)
        return notification(number, token, body="x" * 5_000 if behaviour == "refuses the message" else text)

    def received(self) -> list[str]:
        return [each.payload["clarion"]["delivery"] for each in self.server.notified]

    def received_texts(self) -> list[str]:
        return [each.payload["aps"]["alert"]["body"] for each in self.server.notified]

    async def wait_for(self, count: int) -> None:
        await self.server.wait_for(count)

    def keys(self) -> list[str]:
        return [each.headers["apns-collapse-id"] for each in self.server.notified]

    def lifetimes_s(self) -> list[float | None]:
        ends = [each.headers.get("apns-expiration") for each in self.server.notified]
        return [None if end is None else int(end) - time.time() for end in ends]

    def ids(self) -> list[str]:
        return [each.headers["apns-id"] for each in self.server.notified]

    async def close(self) -> None:
        self.server.released.set()
        for channel in self.channels:
            await channel.close()


@asynccontextmanager
async def peer(server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[ApnsPeer]:
    async with ApnsServer(server_tls, window=0) as server:
        yield ApnsPeer(server, ca)
