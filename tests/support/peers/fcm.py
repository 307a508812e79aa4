"""Firebase Cloud Messaging: a server that checks assertions and messages by Google's documents."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import trustme

from clarion_core.configuration.fcm import ServiceAccount
from clarion_workers.channels.push import FcmChannel, PushMessage
from support.emails import closed_port
from support.push.fcm_server import ACCOUNT, FcmServer
from support.push.notifications import notification, other_rsa_private_key, pem, rsa_private_key

from .peer import BEHAVIOURS, Peer


class FcmPeer(Peer):
    """A request is whole as soon as anybody can tell whose it is, so nothing breaks before hand-over."""

    TESTED_BY = "an HTTPS server that checks assertions, and messages against the published field names"
    behaviours = tuple(each for each in BEHAVIOURS if not each.endswith("before hand-over"))
    LARGE = 3_000
    SECRETS = ("APA91b", "Thank", "BEGIN PRIVATE KEY", "ya29", "gserviceaccount")
    throttle_s = 7
    TOKENS: ClassVar = {
        "takes": "device",
        "refuses for now": "unavailable",
        "refuses the recipient": "invalid",
        "refuses the message": "too-large",
        "throttles": "throttle",
        "hangs after hand-over": "hang",
        "breaks after hand-over": "drop",
    }

    def __init__(self, server: FcmServer, tls: ssl.SSLContext) -> None:
        super().__init__()
        self.server, self.tls = server, tls
        self.released = server.released
        self.channels: list[FcmChannel] = []

    def account(self, **changes: str) -> ServiceAccount:
        values = {
            "client_email": ACCOUNT,
            "private_key": pem(rsa_private_key()),
            "private_key_id": "key-1",
            "project_id": "shop",
            "token_uri": f"{self.server.url}/token",
        }
        return ServiceAccount(**(values | changes))

    def channel(self, **changes: Any) -> FcmChannel:
        values: dict[str, Any] = {
            "account": self.account(),
            "url": self.server.url,
            "connections": 8,
            "timeout_s": 5.0,
            "tls": self.tls,
        } | changes
        self.channels.append(FcmChannel(values.pop("account"), **values))
        return self.channels[-1]

    def unreachable(self) -> FcmChannel:
        nowhere = f"https://127.0.0.1:{closed_port()}"
        return self.channel(url=nowhere, account=self.account(token_uri=f"{nowhere}/token"))

    def wrongly_known(self) -> FcmChannel:
        return self.channel(account=self.account(private_key=pem(other_rsa_private_key())))

    def distrusting(self) -> FcmChannel:
        return self.channel(tls=None)  # the system's authorities do not know the server's

    def message(self, behaviour: str, number: int, text: str = "Thank you.\n") -> PushMessage:
        token = f"{self.TOKENS[behaviour]}:APA91b{number}"
        return notification(number, token, body="x" * 5_000 if behaviour == "refuses the message" else text)

    def received(self) -> list[str]:
        return [json.loads(message["data"]["clarion"])["delivery"] for message in self.server.messages]

    def received_texts(self) -> list[str]:
        return [message["notification"]["body"] for message in self.server.messages]

    async def wait_for(self, count: int) -> None:
        await self.server.wait_for(count)

    def keys(self) -> list[str]:
        return [message["android"]["notification"]["tag"] for message in self.server.messages]

    def lifetimes_s(self) -> list[float | None]:
        ttls = [message["android"].get("ttl") for message in self.server.messages]
        return [None if ttl is None else float(ttl.removesuffix("s")) for ttl in ttls]

    def ids(self) -> list[str]:
        return self.server.names

    async def close(self) -> None:
        self.server.released.set()
        for channel in self.channels:
            await channel.close()


@asynccontextmanager
async def peer(server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[FcmPeer]:
    trusting = ssl.create_default_context()
    ca.configure_trust(trusting)
    async with FcmServer(server_tls) as server:
        yield FcmPeer(server, trusting)
