"""Keys that sign mail (DKIM): which domain they sign for, and where they are."""

from __future__ import annotations

from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from clarion_core.configuration.part import SECRET_WORDS, TOLD, Part, Secret, surroundings, text

RSA_BITS = (1024, 4096)  # RFC 8301 §3.2: a signer has 1024 at least, a verifier need not take more than 4096
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

SigningKey = RSAPrivateKey | Ed25519PrivateKey


class KeyRefused(ValueError):
    """The text holds no key that could sign; the message says why and shows nothing of it."""


class DkimPart(Part):
    """A key, and the domain and selector whose DNS record has its public half (RFC 6376 §3.6.2)."""

    domain: Annotated[str, text("a domain in ASCII, like shop.example", pattern=rf"^{LABEL}(?:\.{LABEL})+$")]
    selector: Annotated[
        str,
        text("letters, digits and hyphens, in parts separated by dots", pattern=rf"^{LABEL}(?:\.{LABEL})*$"),
    ]
    private_key: Annotated[Secret, text(SECRET_WORDS)]

    @field_validator("private_key")
    @classmethod
    def _can_sign(cls, secret: Secret, info: ValidationInfo) -> Secret:
        environment = surroundings(info).environment
        if environment is not None:
            try:
                signing_key(secret.read(environment))
            except KeyRefused as refused:
                raise PydanticCustomError(TOLD, "{why}", {"why": str(refused)}) from None
        return secret


def signing_key(pem: str) -> SigningKey:
    """The private key in a PEM text, RSA of 1024 to 4096 bits or Ed25519. `KeyRefused` for any other text."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as error:  # TypeError: it is encrypted
        what = "is an encrypted key" if isinstance(error, TypeError) else "is no private key in PEM"
        raise KeyRefused(what) from None
    if isinstance(key, RSAPrivateKey):
        least, most = RSA_BITS
        if not least <= key.key_size <= most:
            raise KeyRefused(f"is an RSA key of {key.key_size} bits; must have {least} to {most}, better 2048")
        return key
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyRefused("is neither an RSA key nor an Ed25519 one")
    return key
