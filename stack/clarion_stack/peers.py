"""Who takes text messages, notifications and webhooks in a local stack, and what its workers are told of them.

Secrets are made for the stack, in files that only its user can read: a password of the SMSC, the JSON key of a service
account, a secret that webhooks are signed with, a certificate authority that the playing of hosts needs.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clarion_core.configuration.fcm import service_account
from clarion_core.configuration.webhook import SYMMETRIC, signing_key
from clarion_stack.arrivals import Arrivals
from clarion_stack.authority import make_authority, read_authority
from clarion_stack.devices import show_notifications
from clarion_stack.hooks import take_calls
from clarion_stack.phone import answer_phone
from clarion_stack.tunnel import tunnel

PHONE, ACCOUNT, HOOKS, AUTHORITY = "phone.password", "service-account.json", "webhooks.secret", "authority.pem"
_AUTHORITY_KEY = "authority.key"

_CHANNELS = """\
# Made by clarion-stack: text messages, notifications and webhooks go to its catcher.
sms:
  sender: Clarion
  providers:
    - {{name: phone, smpp: {{host: {host}, port: {sms}, system_id: clarion, password: {{file: {phone}}}, window: 50}}}}
push:
  providers:
    - {{name: fcm, fcm: {{credentials: {{file: {account}}}, url: "http://{host}:{push}"}}}}
webhook:
  # Through the catcher's proxy, which leads nowhere else: no endpoint of the world is called.
  providers:
    - name: hooks
      webhook:
        secrets: [{{file: {hooks}}}]
        egress: {{proxy: {{url: "http://{host}:{webhook}"}}}}
        ca_file: {authority}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Peers:
    """Where they listen: an SMSC, FCM with its token endpoint, a proxy that plays every webhook.

    `home` is where the files are.
    """

    home: Path
    host: str
    sms: int
    push: int
    webhook: int

    def write(self) -> str:
        """Make the secrets, and say what stands in the workers' channel configuration beside them."""
        self._write(PHONE, secrets.token_hex(4))  # SMPP 3.4 §4.1.5: a password has up to 8 octets
        self._write(ACCOUNT, json.dumps(self._account()))
        self._write(HOOKS, SYMMETRIC + base64.b64encode(secrets.token_bytes(32)).decode())
        make_authority(self.home / AUTHORITY, self.home / _AUTHORITY_KEY)
        ports = {"sms": self.sms, "push": self.push, "webhook": self.webhook}
        files = {"phone": PHONE, "account": ACCOUNT, "hooks": HOOKS, "authority": AUTHORITY}
        return _CHANNELS.format(host=self.host, **ports, **files)

    def options(self) -> list[str]:
        """What the catcher is told on its command line."""
        ports = (("--sms", self.sms), ("--push", self.push), ("--webhook", self.webhook))
        return ["--secrets", str(self.home), *(word for name, port in ports for word in (name, str(port)))]

    @asynccontextmanager
    async def catching(self, arrivals: Arrivals) -> AsyncIterator[None]:
        """Take whatever comes while inside, with the secrets that `write` made."""
        account = service_account((self.home / ACCOUNT).read_text("utf-8"))
        password, secret = ((self.home / name).read_text("utf-8") for name in (PHONE, HOOKS))
        authority = read_authority(self.home / AUTHORITY, self.home / _AUTHORITY_KEY)
        async with (
            answer_phone(arrivals, password, self.host, self.sms),
            show_notifications(arrivals, account, self.host, self.push),
            take_calls(arrivals, signing_key(secret), self.host, 0) as behind,
            tunnel(authority, self.host, self.webhook, behind),
        ):
            yield

    def _account(self) -> dict[str, str]:
        """A service account as Google's console hands it out."""
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        return {
            "type": "service_account",
            "project_id": "clarion-local",
            "private_key_id": secrets.token_hex(20),
            "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "client_email": "clarion@clarion-local.iam.gserviceaccount.com",
            "token_uri": f"http://{self.host}:{self.push}/token",
        }

    def _write(self, name: str, text: str) -> None:
        with os.fdopen(os.open(self.home / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
