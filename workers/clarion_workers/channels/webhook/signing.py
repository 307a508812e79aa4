"""Signatures of Standard Webhooks 1.0 ("Signature scheme"): over the id, the time of the attempt and the very bytes."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clarion_core.configuration.part import Secret
from clarion_core.configuration.webhook import SigningKey, WebhookPart, signing_key
from clarion_core.urls import Url, read_url

Sign = Callable[[bytes], bytes]


class Signer:
    """Signs with every key that it has: while a secret is being changed, whoever knows one of two can verify."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        self._signs = [(key.scheme, _sign(key)) for key in keys]

    def signature(self, webhook_id: str, timestamp: int, body: bytes) -> str:
        """The value of `webhook-signature`. Neither an id nor a time has a dot, or what is signed had two readings."""
        assert "." not in webhook_id
        signed = f"{webhook_id}.{timestamp}.".encode() + body
        return " ".join(f"{scheme},{b64encode(sign(signed)).decode()}" for scheme, sign in self._signs)


class Signers:
    """Who signs calls of which endpoint: the one that the configuration names most exactly."""

    def __init__(self, part: WebhookPart, read: Callable[[Secret], str]) -> None:
        """`read` looks up secrets; `KeyError`, `OSError` or `ValueError` where one is gone, or is none any more."""
        self._others = Signer(_keys(part.secrets, read)) if part.secrets else None
        self._known: dict[str, list[tuple[str, Signer]]] = defaultdict(list)
        for endpoint in part.endpoints:
            url = read_url(endpoint.url)
            self._known[url.origin].append((url.path, Signer(_keys(endpoint.secrets, read))))
        for found in self._known.values():
            found.sort(key=lambda each: len(each[0]), reverse=True)

    def of(self, url: Url) -> Signer | None:
        """Who signs calls of this address; None where nobody is to."""
        known = self._known.get(url.origin, ())
        return next((signer for path, signer in known if _is_below(url.path, path)), self._others)


def _is_below(path: str, above: str) -> bool:
    """Whether a path is another one, or goes on from it with a part of its own."""
    return path == above or path.startswith(above if above.endswith("/") else f"{above}/")


def _keys(secrets: Sequence[Secret], read: Callable[[Secret], str]) -> list[SigningKey]:
    return [signing_key(read(secret)) for secret in secrets]


def _sign(key: SigningKey) -> Sign:
    if key.scheme == "v1a":
        return Ed25519PrivateKey.from_private_bytes(key.value).sign
    keyed = hmac.new(key.value, digestmod="sha256")  # its copies are twice as fast as to begin with the key again

    def sign(signed: bytes) -> bytes:
        mac = keyed.copy()
        mac.update(signed)
        return mac.digest()

    return sign
