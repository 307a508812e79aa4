"""Google's access tokens: a service account's signed assertion, exchanged for a token that lasts an hour.

RFC 7523, as "Using OAuth 2.0 for Server to Server Applications" (developers.google.com/identity) has it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import jwt
import msgspec

from clarion_core import logs
from clarion_core.configuration.fcm import ServiceAccount
from clarion_core.configuration.keys import rsa_key
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import TransientFailure
from clarion_workers.channels.http import Answer, Request

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

ASSERTION_S = 3_600
"""How long an assertion is good for; Google takes no more."""

EARLY_S = 300.0
"""A token is replaced so long before it ends: requests that are on the way still have a good one."""

_AGAIN_S = 10.0  # while the old token is good, a failed replacement is tried again after this

log = logs.get(__name__)


class Granted(msgspec.Struct, frozen=True):
    """What the token endpoint answers."""

    access_token: str
    expires_in: int


class AccessToken:
    """The token of one service account: fetched when first asked for, replaced before it ends, one fetch at a time."""

    def __init__(self, account: ServiceAccount, fetch: Callable[[Request], Awaitable[Answer]]) -> None:
        self._account, self._fetch = account, fetch
        self._key = rsa_key(account.private_key)
        self._token = ""
        self._ends = self._replace_from = 0.0  # on this process' monotonic clock
        self._fetching: asyncio.Task[str | TransientFailure] | None = None

    async def get(self) -> str | TransientFailure:
        """A token that is good for now, or why there is none. Raises what the connection raises."""
        now_s = time.monotonic()
        if now_s >= self._replace_from and self._fetching is None:
            self._fetching = asyncio.create_task(self._replaced())
            self._fetching.add_done_callback(self._fetched)
        if now_s < self._ends or self._fetching is None:
            return self._token
        return await asyncio.shield(self._fetching)

    async def renewed(self) -> str | TransientFailure:
        """A new token, or why there is none, whether or not the last one is good. Raises as `get` does."""
        return await self._replaced()

    def forget(self, token: str) -> None:
        """Have the next one who asks wait for another token: this one was not taken."""
        if token == self._token:
            self._ends = self._replace_from = 0.0

    def close(self) -> None:
        """Nobody waits for a token any more."""
        if self._fetching:
            self._fetching.cancel()

    async def _replaced(self) -> str | TransientFailure:
        self._replace_from = time.monotonic() + _AGAIN_S
        answer = await self._fetch(self._request())
        now_s = time.monotonic()
        if answer.status != 200:
            return _refusal(answer)
        try:
            granted = msgspec.json.decode(answer.body, type=Granted)
        except ValueError:
            return _unusable("its answer can't be read")
        self._token = granted.access_token
        self._ends = now_s + granted.expires_in
        self._replace_from = self._ends - min(EARLY_S, granted.expires_in / 2)
        return self._token

    def _fetched(self, task: asyncio.Task[str | TransientFailure]) -> None:
        self._fetching = None
        if task.cancelled():
            return
        error = task.exception()
        failed = type(error).__name__ if error else isinstance(task.result(), TransientFailure) and task.result()
        if not failed:
            return
        if time.monotonic() >= self._ends:
            self._replace_from = 0.0  # nothing can be sent without one: whoever comes next asks again
        reason = failed.reason.value if isinstance(failed, TransientFailure) else failed
        log.warning("access_token_not_fetched", provider="fcm", reason=reason)

    def _request(self) -> Request:
        account, now_s = self._account, int(time.time())
        claims = {
            "iss": account.client_email,
            "scope": SCOPE,
            "aud": account.token_uri,
            "iat": now_s,
            "exp": now_s + ASSERTION_S,
        }
        headers = {"kid": account.private_key_id} if account.private_key_id else None
        assertion = jwt.encode(claims, self._key, algorithm="RS256", headers=headers)
        return Request(
            url=account.token_uri,
            body=urlencode({"grant_type": GRANT, "assertion": assertion}).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )


def _refusal(answer: Answer) -> TransientFailure:
    """RFC 6749 §5.2; `invalid_grant` is a key that was revoked, or a clock that is wrong."""
    if answer.status == 429 or answer.status >= 500:
        return TransientFailure(
            reason=Reason.PROVIDER_DEFERRED,
            detail=f"the token endpoint answered {answer.status}",
            retry_after_s=answer.retry_after_s(),
        )
    try:
        told = msgspec.json.decode(answer.body, type=dict[str, object]).get("error", "")
    except ValueError:
        told = ""
    return _unusable(f"{answer.status} {told}".rstrip())


def _unusable(detail: str) -> TransientFailure:
    return TransientFailure(reason=Reason.PROVIDER_CREDENTIALS, detail=f"the token endpoint: {detail}")
