"""Voluntary identification for Web Push (RFC 8292): a signed token for each push service, and our public key."""

from __future__ import annotations

import base64
import time

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clarion_core.configuration.keys import p256_key

GOOD_S = 43_200
"""How long a token is good for: half of what RFC 8292 §2 allows. It is replaced when half of that is over."""

_ORIGINS_MAX = 1_000


class Vapid:
    """The identity that browsers were given as `applicationServerKey`, and the tokens that prove it."""

    def __init__(self, key: str, *, subject: str) -> None:
        self._key, self._subject = p256_key(key), subject
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = base64.urlsafe_b64encode(point).rstrip(b"=").decode()
        self._made: dict[str, tuple[float, str]] = {}  # by origin: until when it is used, and the header

    def authorization(self, origin: str) -> str:
        """The Authorization header for a push service's origin."""
        now_s = time.time()
        until_s, header = self._made.get(origin, (0.0, ""))
        if now_s < until_s:
            return header
        claims = {"aud": origin, "exp": int(now_s) + GOOD_S, "sub": self._subject}
        header = f"vapid t={jwt.encode(claims, self._key, algorithm='ES256')}, k={self.public_key}"
        if len(self._made) >= _ORIGINS_MAX:
            del self._made[next(iter(self._made))]
        self._made[origin] = (now_s + GOOD_S / 2, header)
        return header
