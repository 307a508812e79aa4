"""SNS on this machine: signs with a certificate of its own, which it shows over TLS where Amazon's would be."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

HOST = "sns.eu-west-1.amazonaws.com"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:clarion"
CERTIFICATE = f"https://{HOST}/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


class LocalDns(AbstractResolver):
    """Finds every host on a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return [ResolveResult(hostname=host, host="127.0.0.1", port=self.port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        return


class SnsPost:
    """Makes envelopes as SNS does, and answers where Amazon would."""

    def __init__(self, *, days: int = 365) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = self._certificate(days)
        self.asked: list[str] = []  # paths that somebody came for

    def envelope(self, message: str, *, version: str = "1", kind: str = "Notification", **changes: Any) -> str:
        """A signed envelope; `changes` are made before it is signed."""
        told: dict[str, Any] = {
            "Type": kind,
            "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
            "TopicArn": TOPIC,
            "Message": message,
            "Timestamp": "2025-01-20T10:00:06.000Z",
            "SignatureVersion": version,
            "SigningCertURL": CERTIFICATE,
            **changes,
        }
        told["Signature"] = self.signature(told)
        return json.dumps(told)

    def confirmation(self, **changes: Any) -> str:
        """SNS asks whether a subscription is wanted."""
        values = {
            "Token": "token-1",
            "SubscribeURL": f"https://{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=token-1",
        } | changes
        return self.envelope("You have chosen to subscribe.", kind="SubscriptionConfirmation", **values)

    def signature(self, told: dict[str, Any]) -> str:
        """Of an envelope, as SNS's documentation has it."""
        names = _SIGNED.get(told["Type"], _SIGNED["SubscriptionConfirmation"])
        signed = "".join(f"{name}\n{told[name]}\n" for name in names if name in told)
        digest = hashes.SHA256() if told["SignatureVersion"] == "2" else hashes.SHA1()
        return base64.b64encode(self._key.sign(signed.encode(), padding.PKCS1v15(), digest)).decode()

    @asynccontextmanager
    async def at_amazon(
        self, directory: Path, names: tuple[str, ...] = (HOST,)
    ) -> AsyncIterator[tuple[LocalDns, Path]]:
        """Answer over TLS while inside: how it is found, and the file of the authority to trust."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(directory / "authority.pem"))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(tls)
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=tls)
        async with server:
            yield LocalDns(server.sockets[0].getsockname()[1]), directory / "authority.pem"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        self.asked.append(path)
        body = self.certificate if path.endswith(".pem") else b"<ConfirmSubscriptionResponse/>"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    def _certificate(self, days: int) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        began = datetime.now(UTC) - timedelta(days=400)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(began)
            .not_valid_after(datetime.now(UTC) + timedelta(days=days))
            .sign(self._key, hashes.SHA256())
        )
        return made.public_bytes(Encoding.PEM)
