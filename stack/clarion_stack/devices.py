"""Devices that show notifications: what Firebase Cloud Messaging's HTTP v1 API takes, and Google's token endpoint.

Assertions are verified with the service account's own key, whose JSON the stack made. A device whose token begins with
`gone` is one that the app was removed from.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from clarion_core import logs
from clarion_core.configuration.fcm import ServiceAccount
from clarion_core.domain.medium import Channel
from clarion_core.push.notification import OURS
from clarion_stack.arrivals import Arrivals
from clarion_stack.http import application, served
from clarion_stack.records import Notification

GONE = "gone"
LIFETIME_S = 3_600

# developers.google.com/identity/protocols/oauth2/service-account
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"


@asynccontextmanager
async def show_notifications(arrivals: Arrivals, account: ServiceAccount, host: str, port: int) -> AsyncIterator[int]:
    """Take notifications while inside; yields the port, a free one for 0."""
    devices = _Devices(arrivals, account)
    app = application()
    app.router.add_post("/token", devices.grant)
    app.router.add_post("/v1/projects/{project}/messages:send", devices.send)
    async with served(app, host, port) as taken:
        yield taken


class _Devices:
    def __init__(self, arrivals: Arrivals, account: ServiceAccount) -> None:
        self._arrivals, self._account = arrivals, account
        key = load_pem_private_key(account.private_key.encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key.public_key()
        self._granted: dict[str, float] = {}  # access tokens, and when each ends

    async def grant(self, request: web.Request) -> web.Response:
        """An access token for an assertion (RFC 7523)."""
        form = await request.post()
        try:
            if form.get("grant_type") != _GRANT:
                return web.json_response({"error": "unsupported_grant_type"}, status=400)
            claims = jwt.decode(
                str(form.get("assertion")), self._key, algorithms=["RS256"], audience=self._account.token_uri
            )
        except jwt.PyJWTError:
            return web.json_response({"error": "invalid_grant"}, status=400)
        if claims.get("iss") != self._account.client_email or claims.get("scope") != _SCOPE:
            return web.json_response({"error": "invalid_scope"}, status=400)
        now_s = time.monotonic()
        self._granted = {token: ends for token, ends in self._granted.items() if ends > now_s}
        token = secrets.token_urlsafe(24)
        self._granted[token] = now_s + LIFETIME_S
        return web.json_response({"access_token": token, "expires_in": LIFETIME_S, "token_type": "Bearer"})

    async def send(self, request: web.Request) -> web.Response:
        """Show one message on the device it is for."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._granted.get(token, 0.0) <= time.monotonic():
            return _error(401, "UNAUTHENTICATED")
        try:
            message = json.loads(await request.read())["message"]
            device, delivery = str(message["token"]), json.loads(message["data"][OURS])["delivery"]
        except (ValueError, LookupError, TypeError):
            return _error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")
        if device.startswith(GONE):
            return _error(404, "NOT_FOUND", "UNREGISTERED")
        name = f"projects/{request.match_info['project']}/messages/0:{secrets.token_hex(8)}"
        return self._shown(name, str(delivery), device, message)

    def _shown(self, name: str, delivery: str, device: str, message: dict[str, Any]) -> web.Response:
        try:
            self._arrivals.keep(Channel.PUSH, delivery, Notification(name=name, device=device, message=message))
        except OSError as error:
            logs.get(__name__).error("message_not_kept", error=error.strerror)
            return _error(500, "INTERNAL", "INTERNAL")
        return web.json_response({"name": name})


def _error(status: int, code: str, error_code: str = "") -> web.Response:
    details = [{"@type": _FCM_ERROR, "errorCode": error_code}] if error_code else []
    error = {"code": status, "status": code, "message": "said by the stack's catcher", "details": details}
    return web.json_response({"error": error}, status=status)
