"""Signatures of Amazon's APIs, version 4 (AWS Identity and Access Management, "Create a signed AWS API request").

For requests without a query, and with a path that needs no encoding.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who signs. Temporary credentials have a token too."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a signature is good for."""

    region: str
    service: str


def signed(
    credentials: Credentials,
    scope: Scope,
    *,
    method: str,
    host: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    now_s: float,
) -> dict[str, str]:
    """The request's headers with those that sign it. All of `headers` are signed, and the host."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
    all_headers = {**headers, "X-Amz-Date": moment}
    if credentials.session_token:
        all_headers["X-Amz-Security-Token"] = credentials.session_token
    lowered = sorted((name.lower(), " ".join(value.split())) for name, value in (*all_headers.items(), ("host", host)))
    names = ";".join(name for name, _ in lowered)
    lines = "".join(f"{name}:{value}\n" for name, value in lowered)
    canonical = f"{method}\n{path}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    where = f"{moment[:8]}/{scope.region}/{scope.service}/aws4_request"
    to_sign = f"{_ALGORITHM}\n{moment}\n{where}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _key(credentials.secret_access_key, moment[:8], scope)
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    all_headers["Authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key_id}/{where}, SignedHeaders={names}, Signature={signature}"
    )
    return all_headers


@lru_cache(maxsize=16)
def _key(secret: str, day: str, scope: Scope) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
