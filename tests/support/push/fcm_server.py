"""FCM and Google's token endpoint on loopback, by their documents; a message's token says how to behave."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, Self

import jwt
from aiohttp import web

from support.push.fcm_schema import payload_size, violations
from support.push.notifications import rsa_private_key

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ACCOUNT = "sender@shop.iam.gserviceaccount.com"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"

ANSWERS: dict[str, tuple[int, str, str, str]] = {
    # by the word that a registration token begins with: status, google.rpc code, errorCode, words
    "unregistered": (404, "NOT_FOUND", "UNREGISTERED", "Requested entity was not found."),
    "invalid": (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "The registration token is not valid"),
    "mismatch": (403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", "SenderId mismatch"),
    "quota": (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Quota exceeded."),
    "unavailable": (503, "UNAVAILABLE", "UNAVAILABLE", "The service is currently unavailable."),
    "internal": (500, "INTERNAL", "INTERNAL", "Internal error encountered."),
    "third": (401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", "Auth error from APNS or Web Push Service"),
    "denied": (403, "PERMISSION_DENIED", "", "Permission 'cloudmessaging.messages.create' denied"),
    "gateway": (504, "DEADLINE_EXCEEDED", "", "Deadline expired."),
    "bad": (502, "", "", "Bad Gateway"),
    "strange": (418, "", "", ""),
    "throttle": (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Quota exceeded."),
}  # fmt: skip


@dataclass
class FcmServer:
    """`requests` are the messages that came whole and fit, `refused` the paths of what did not."""

    tls: ssl.SSLContext | None = None
    expires_in: int = 3_600
    messages: list[dict[str, Any]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    granted: list[str] = field(default_factory=list)
    """The access tokens, in order."""
    revoked: bool = False
    """Whether Google has forgotten the service account's key."""
    token_answer: tuple[int, dict[str, str], str] | None = None
    """What the token endpoint answers instead: status, headers, body."""

    def __post_init__(self) -> None:
        self.released, self.token_released = asyncio.Event(), asyncio.Event()
        self.token_released.set()
        self.token_asked = asyncio.Semaphore(0)
        self._came = asyncio.Condition()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/token", self._grant)
        app.router.add_post("/v1/projects/{project}/messages:send", self._send)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls)
        await site.start()
        self.port: int = self._runner.addresses[0][1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.released.set()
        self.token_released.set()
        await self._runner.cleanup()

    async def wait_for(self, count: int) -> None:
        async with self._came:
            await self._came.wait_for(lambda: len(self.messages) >= count)

    async def _grant(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.token_asked.release()
        await self.token_released.wait()
        if self.token_answer:
            status, headers, body = self.token_answer
            return web.Response(status=status, headers=headers, text=body, content_type="application/json")
        problem = self._wrong_with(str(form.get("grant_type")), str(form.get("assertion")))
        if problem:
            return web.json_response({"error": "invalid_grant", "error_description": problem}, status=400)
        self.granted.append(f"ya29.{len(self.granted) + 1}")
        return web.json_response(
            {"access_token": self.granted[-1], "expires_in": self.expires_in, "token_type": "Bearer"}
        )

    def _wrong_with(self, grant: str, assertion: str) -> str:
        if grant != GRANT:
            return "unsupported grant"
        try:
            claims = jwt.decode(
                assertion,
                rsa_private_key().public_key(),
                algorithms=["RS256"],
                audience=f"{self.url}/token",
                options={"require": ["iss", "scope", "aud", "iat", "exp"]},
            )
        except jwt.PyJWTError as error:
            return f"Invalid JWT: {error}"
        if self.revoked or jwt.get_unverified_header(assertion).get("kid") != "key-1":
            return "Invalid JWT Signature."
        if claims["iss"] != ACCOUNT or claims["scope"] != SCOPE:
            return "Invalid grant: account not found"
        fits = claims["exp"] - claims["iat"] <= 3_600 and abs(claims["iat"] - time.time()) < 60
        return "" if fits else "Invalid JWT: iat and exp are not within an hour"

    async def _send(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not self.granted or token != self.granted[-1]:
            return _error(401, "UNAUTHENTICATED", "", "Request had invalid authentication credentials.")
        if request.match_info["project"] != "shop":
            return _error(403, "PERMISSION_DENIED", "", "Permission denied on resource project.")
        if not request.headers["Content-Type"].startswith("application/json"):
            return _error(400, "INVALID_ARGUMENT", "", "Not JSON")
        document = json.loads(body)
        if document == {"validate_only": True, "message": {"topic": "clarion-test"}}:
            return web.json_response({"name": "projects/shop/messages/fake_message_id"})
        if wrong := violations(document):
            self.refused += wrong
            return _error(400, "INVALID_ARGUMENT", "", f"Invalid value at '{wrong[0]}'", fields=wrong)
        message = document["message"]
        if payload_size(message) > 4_096:
            return _error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "Message is too big")
        return await self._take(request, message)

    async def _take(self, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        behaviour = message["token"].partition(":")[0]
        if behaviour == "nameless":
            return _error(400, "INVALID_ARGUMENT", "", "Invalid value", fields=["message.token"])
        if behaviour in ANSWERS:
            status, code, error_code, words = ANSWERS[behaviour]
            headers = {"Retry-After": "7"} if behaviour == "throttle" else {}
            return _error(status, code, error_code, words, headers=headers)
        name = f"projects/shop/messages/0:{len(self.names) + 1}"
        async with self._came:
            self.messages.append(message)
            self.names.append(name)
            self._came.notify_all()
        if behaviour == "hang":
            await self.released.wait()
        if behaviour == "drop":
            assert request.transport
            request.transport.abort()
        return web.json_response({"name": name})


def _error(
    status: int,
    code: str,
    error_code: str,
    words: str,
    *,
    fields: list[str] | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    details: list[dict[str, Any]] = [{"@type": FCM_ERROR, "errorCode": error_code}] if error_code else []
    if fields:
        broken = [{"field": each, "description": "Invalid value"} for each in fields]
        details.append({"@type": BAD_REQUEST, "fieldViolations": broken})
    error = {"code": status, "message": words, "status": code, "details": details}
    return web.json_response({"error": error}, status=status, headers=headers)
