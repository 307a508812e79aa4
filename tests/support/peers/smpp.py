"""SMPP: npm's `smpp` as the SMSC (smsc.mjs), which behaves as the destination's number says."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import trustme

from clarion_workers.channels.sms.inbound import Ears
from clarion_workers.channels.sms.message import SmsMessage
from clarion_workers.channels.sms.smpp import SmppChannel, SmppConfig
from support.emails import closed_port

from .npm import program
from .peer import BEHAVIOURS, Peer

PASSWORD = "right"


class Smsc:
    """The running SMSC, told what to do. `tell` blocks this thread for a moment, `ask` does not."""

    def __init__(self, said: dict[str, int], ca: trustme.CA) -> None:
        self.port, self.tls_port, self._control = said["port"], said["tls_port"], said["control"]
        self.ca = ca

    def tell(self, order: str, value: object = None) -> Any:
        """Have something done, and know that it is."""
        with socket.create_connection(("127.0.0.1", self._control)) as link, link.makefile("rw") as lines:
            lines.write(json.dumps({order: value}) + "\n")
            lines.flush()
            return json.loads(lines.readline())

    async def ask(self, order: str, value: object = None) -> Any:
        """The same for what takes its time: waiting, or what needs an answer of ours."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._control)
        try:
            writer.write(f"{json.dumps({order: value})}\n".encode())
            return json.loads(await reader.readline())
        finally:
            writer.close()
            await writer.wait_closed()

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What was taken, as a handset would have it."""
        found: list[dict[str, Any]] = self.tell("state")["messages"]
        return found


class _Released(asyncio.Event):
    """Set, what hangs is answered."""

    def __init__(self, smsc: Smsc) -> None:
        super().__init__()
        self._smsc = smsc

    def set(self) -> None:
        super().set()
        self._smsc.tell("release")


class SmppPeer(Peer):
    """Can't say how long to wait when it throttles. It sees nothing of a message before it is handed over whole, so it
    can't break one off before that; what hangs before is a bind that is never answered.
    """

    TESTED_BY = "npm `smpp` as the SMSC"
    behaviours = tuple(each for each in BEHAVIOURS if each not in ("throttles", "breaks before hand-over"))
    LARGE = 39_000  # 255 segments have 39,015 septets
    SECRETS = ("4915", "Thank", "wrong", PASSWORD)
    CODES: ClassVar = {
        "takes": 0,
        "refuses for now": 1,
        "refuses the recipient": 2,
        "refuses the message": 3,
        "throttles": 4,
        "hangs before hand-over": 0,
        "hangs after hand-over": 5,
        "breaks after hand-over": 6,
    }

    def __init__(self, smsc: Smsc) -> None:
        super().__init__()
        self.smsc = smsc
        self.released = _Released(smsc)
        self.channels: list[SmppChannel] = []

    def channel(self, *, ears: Ears | None = None, **changes: Any) -> SmppChannel:
        """By default every session has a message at most, so that what breaks one says nothing of the others."""
        if "connections" in changes:
            changes["binds"] = changes.pop("connections")
        values: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.smsc.port,
            "system_id": "clarion",
            "password": PASSWORD,
            "binds": 4,
            "window": 1,
            "timeout_s": 5.0,
        }
        self.channels.append(SmppChannel(SmppConfig(**(values | changes)), ears))
        return self.channels[-1]

    def unreachable(self) -> SmppChannel:
        return self.channel(port=closed_port())

    def wrongly_known(self) -> SmppChannel:
        return self.channel(password="wrong")

    def distrusting(self) -> SmppChannel:
        return self.channel(port=self.smsc.tls_port, tls=True)  # the system's authorities do not know the SMSC's

    def message(self, behaviour: str, number: int, text: str = "Thank you.\n", **changes: Any) -> SmsMessage:
        if behaviour == "hangs before hand-over":
            self.smsc.tell("mute", True)
        values = {
            "delivery_id": f"00j4k-{number}",
            "sender": "Clarion",
            "to_number": f"+49151{self.CODES[behaviour]:02d}{number:05d}",
            "text": text,
        }
        return SmsMessage(**(values | changes))

    def received(self) -> list[str]:
        return [f"00j4k-{int(message['to'][7:])}" for message in self.smsc.messages]

    def received_texts(self) -> list[str]:
        return [message["text"] for message in self.smsc.messages]

    def lifetimes_s(self) -> list[float | None]:
        return [message["lifetime_s"] for message in self.smsc.messages]

    def ids(self) -> list[str]:
        return [message["id"] for message in self.smsc.messages]

    async def wait_for(self, count: int) -> None:
        await self.smsc.ask("wait", {"messages": count})

    async def close(self) -> None:
        for channel in self.channels:
            await channel.close()


@asynccontextmanager
async def peer(_server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[SmppPeer]:
    with tempfile.TemporaryDirectory() as directory:
        key, cert = Path(directory, "key.pem"), Path(directory, "cert.pem")
        issued = ca.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(key)
        issued.cert_chain_pems[0].write_to_path(cert)
        async with program("smsc.mjs", str(key), str(cert)) as said:
            yield SmppPeer(Smsc(said, ca))
