"""The token by which APNs knows a team ("Establishing a token-based connection to APNs")."""

from __future__ import annotations

import time

import jwt

from clarion_core.configuration.keys import p256_key

STEP_S = 2_400
"""How long a token is used. APNs refuses one that is older than an hour, and another one within 20 minutes."""

RENEW_MIN_S = 1_200
"""How soon a token may follow another one."""


class ProviderToken:
    """A team's token. It is dated back to a multiple of `STEP_S`, so all workers change theirs at the same time."""

    def __init__(self, key: str, *, key_id: str, team_id: str) -> None:
        self._key, self._key_id, self._team_id = p256_key(key), key_id, team_id
        self._token, self._dated_s = "", 0

    def get(self) -> str:
        """The token for now."""
        now_s = int(time.time())
        if not self._dated_s <= now_s < self._dated_s + STEP_S:
            self._make(now_s - now_s % STEP_S)
        return self._token

    def renew(self, token: str) -> bool:
        """APNs says that this token is too old. Whether there is another one now: its clock may be before ours."""
        now_s = int(time.time())
        if token == self._token and now_s - self._dated_s >= RENEW_MIN_S:
            self._make(now_s)
        return token != self._token

    def _make(self, dated_s: int) -> None:
        claims = {"iss": self._team_id, "iat": dated_s}
        self._token = jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self._key_id})
        self._dated_s = dated_s
