"""Keys that sign mail, and `dkimpy` to verify what they signed: the public halves are answered from memory."""

from __future__ import annotations

from base64 import b64encode
from functools import cache

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from clarion_core.configuration.dkim import SigningKey
from clarion_workers.channels.email.dkim import Key, Signers
from clarion_workers.channels.email.letterhead import Letterhead


@cache
def rsa_key(bits: int = 2048) -> RSAPrivateKey:
    return generate_private_key(65537, bits)


@cache
def ed25519_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def pem(key: SigningKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def both_keys(domain: str = "example.com") -> list[Key]:
    return [
        Key(domain=domain, selector="r2026", private=rsa_key()),
        Key(domain=domain, selector="e2026", private=ed25519_key()),
    ]


def signing(*keys: Key) -> Letterhead:
    return Letterhead(signers=Signers(keys or both_keys()))


def record(key: SigningKey) -> bytes:
    """The DNS record of a key (RFC 6376 §3.6.1, RFC 8463 §4)."""
    public = key.public_key()
    if isinstance(key, Ed25519PrivateKey):
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return b"v=DKIM1; k=ed25519; p=" + b64encode(raw)
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + b64encode(der)


def verified(content: bytes, *keys: Key) -> list[bool]:
    """What dkimpy says of each signature of a message, the first one first."""
    records = {f"{k.selector}._domainkey.{k.domain}.".encode(): record(k.private) for k in keys or both_keys()}
    count = content.partition(b"\r\n\r\n")[0].lower().count(b"dkim-signature:")
    return [_is_good(content, index, records) for index in range(count)]


def _is_good(content: bytes, index: int, records: dict[bytes, bytes]) -> bool:
    try:
        return bool(dkim.DKIM(content).verify(index, dnsfunc=lambda name, timeout=5: records.get(name)))
    except dkim.ValidationError:  # the body is another one
        return False
