"""APNs on loopback, by Apple's documents. A device token's first two digits say how to behave to it."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import Any

from h2.errors import ErrorCodes

from support.push.apns_rules import problem_of_headers, problem_of_payload
from support.push.h2_server import H2Peer, H2Server, Pairs

TAKES, UNAVAILABLE, BAD, NO_WINDOW, HANGS, REFUSED_STREAM, RESET = "00", "01", "02", "03", "04", "05", "06"


def device(behaviour: str, number: int = 0) -> str:
    """A device's token."""
    return behaviour * 16 + f"{number:032x}"


@dataclass
class Notified:
    """A request that came whole and kept the rules."""

    token: str
    headers: dict[str, str]
    payload: dict[str, Any]


class ApnsServer(H2Server):
    """`answers`: what certain devices' requests get instead: a status and a body."""

    def __init__(self, tls: ssl.SSLContext, *, window: int = 65_535, streams: int = 100) -> None:
        super().__init__(tls, window=window, streams=1)
        self.after_token = streams
        """Streams at once after a request with a good token; one until then, as Apple's document says."""
        self.notified: list[Notified] = []
        self.refused: list[str] = []
        self.released = asyncio.Event()
        self.answers: dict[str, tuple[int, dict[str, Any]]] = {}
        self.skew_s = 0.0
        """How much its clock is before ours."""
        self.tokens: list[str] = []
        """The provider tokens seen, each once."""
        self.silent = False
        """Whether it leaves everything unanswered."""
        self._trusting: set[H2Peer] = set()
        self._hanging: set[asyncio.Task[None]] = set()

    def begun(self, peer: H2Peer, number: int, headers: Pairs) -> None:
        match _behaviour(headers):
            case "05":
                peer.refuse(number, ErrorCodes.REFUSED_STREAM)
            case "03":
                self.note()
            case _ if self.window == 0:
                peer.allow(number)

    def whole(self, peer: H2Peer, number: int, headers: Pairs, body: bytes) -> None:
        named = dict(headers)
        if self.silent:
            return
        if (authorization := named.get("authorization", "")) not in self.tokens:
            self.tokens.append(authorization)
        problem = problem_of_headers(headers, self.skew_s) or problem_of_payload(named["apns-push-type"], body)
        if problem:
            self._refuse(peer, number, named, *problem)
            return
        if peer not in self._trusting:
            self._trusting.add(peer)
            peer.settings(self.after_token)
        self._take(peer, number, named, body)

    async def wait_for(self, count: int) -> None:
        await self.wait_until(lambda: len(self.notified) >= count)

    def _take(self, peer: H2Peer, number: int, headers: dict[str, str], body: bytes) -> None:
        token = headers[":path"].rpartition("/")[2]
        if len(token) < 64:
            self._refuse(peer, number, headers, 400, "BadDeviceToken")
            return
        if token in self.answers:
            status, told = self.answers[token]
            peer.answer(number, [(":status", str(status))], json.dumps(told).encode() if told else b"")
            return
        behaviour = _behaviour(list(headers.items()))
        if behaviour in (UNAVAILABLE, BAD):
            self._refuse(
                peer, number, headers, *((503, "ServiceUnavailable"), (400, "BadDeviceToken"))[behaviour == BAD]
            )
            return
        self.notified.append(Notified(token=token, headers=headers, payload=json.loads(body)))
        self.note()
        if behaviour == RESET:
            peer.refuse(number, ErrorCodes.INTERNAL_ERROR)
        elif behaviour == HANGS:
            task = asyncio.get_running_loop().create_task(self._later(peer, number, headers))
            self._hanging.add(task)
            task.add_done_callback(self._hanging.discard)
        else:
            _accept(peer, number, headers)

    async def _later(self, peer: H2Peer, number: int, headers: dict[str, str]) -> None:
        await self.released.wait()
        _accept(peer, number, headers)

    def _refuse(self, peer: H2Peer, number: int, headers: dict[str, str], status: int, reason: str) -> None:
        self.refused.append(reason)
        pairs = [(":status", str(status)), ("apns-id", headers.get("apns-id", ""))]
        peer.answer(number, pairs, json.dumps({"reason": reason}).encode())

    async def __aexit__(self, *_: object) -> None:
        self.released.set()
        for task in self._hanging:
            task.cancel()
        await super().__aexit__(*_)


def _accept(peer: H2Peer, number: int, headers: dict[str, str]) -> None:
    peer.answer(number, [(":status", "200"), ("apns-id", headers["apns-id"])])


def _behaviour(headers: Pairs) -> str:
    return dict(headers).get(":path", "").rpartition("/")[2][:2]
