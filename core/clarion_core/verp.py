"""Bounce addresses: an envelope sender that says which delivery came back (VERP), and that nobody can make up.

`bounce+<delivery id>.<code>@<domain>`; the code is a keyed hash of the delivery id. Upper and lower case are the same:
servers on the way may change them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

from clarion_core.domain.ids import base32

PREFIX = "bounce"
COPY = f"{PREFIX}+copy"
"""The local part of copies' envelope senders: what comes back to it says nothing of a delivery."""

SECRET_CHARS = 16
"""A secret has that many characters at least."""

_CODE_CHARS = 16  # 80 bits: who tries addresses at random needs as many messages
_LOCAL_MAX = 64  # RFC 5321 §4.5.3.1.1
_LOCAL = re.compile(rf"{PREFIX}\+([a-z0-9-]{{1,{_LOCAL_MAX}}})\.([a-z0-9]{{{_CODE_CHARS}}})")


class VerpRefused(ValueError):
    """The delivery id can't be part of an address."""


def encode(delivery_id: str, domain: str, secret: bytes) -> str:
    """The bounce address of a delivery. `VerpRefused` where the id is too long, or has other characters than ids do."""
    local = f"{PREFIX}+{delivery_id}.{_code(delivery_id, secret)}"
    if len(local) > _LOCAL_MAX or not _LOCAL.fullmatch(local):
        raise VerpRefused("the delivery id can't be part of a bounce address")
    return f"{local}@{domain}"


def decode(address: str, domain: str, secrets: Sequence[bytes]) -> str | None:
    """The delivery whose bounce address this is; None where it is none of ours.

    `secrets`: the one in use, and those from before it while their messages may still come back.
    """
    local, _, found_domain = address.strip("<> ").lower().rpartition("@")
    found = _LOCAL.fullmatch(local)
    if not found or found_domain != domain.lower():
        return None
    # All of them are looked at, each in constant time: how long it takes tells nothing.
    fits = [hmac.compare_digest(_code(found[1], secret), found[2]) for secret in secrets]
    return found[1] if any(fits) else None


def _code(delivery_id: str, secret: bytes) -> str:
    digest = hashlib.blake2b(delivery_id.encode(), key=_key(secret), person=b"clarion bounce", digest_size=10).digest()
    return base32(int.from_bytes(digest), _CODE_CHARS)


def _key(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
