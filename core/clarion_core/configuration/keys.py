"""Keys that providers know us by: read from text, and refused with words when they are of another kind."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

from clarion_core.configuration.part import WRONG, Secret, surroundings


def rsa_key(pem: str) -> rsa.RSAPrivateKey:
    """The RSA private key in this PEM text. `ValueError` where there is none."""
    key = _private_key(pem)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("no RSA key")
    return key


def p256_key(text: str) -> ec.EllipticCurvePrivateKey:
    """The private key on P-256 in this text: PEM, or its 32 bytes in base64url. `ValueError` where there is none."""
    if not text.lstrip().startswith("-----"):
        return _from_scalar(text)
    key = _private_key(text)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("no key on P-256")
    return key


def unpadded(text: str) -> bytes:
    """What this base64url, with or without padding, stands for. `ValueError` where it is none."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("no base64url") from None


def check_secret(secret: Secret, info: ValidationInfo, read: Callable[[str], Any]) -> Secret:
    """The secret, if it can be read so; in surroundings without an environment it is not looked at."""
    environment = surroundings(info).environment
    try:
        if environment is not None:
            read(secret.read(environment))
    except (KeyError, OSError, ValueError):
        raise PydanticCustomError(WRONG, "is of another kind") from None
    return secret


def _private_key(pem: str) -> Any:
    try:
        return load_pem_private_key(pem.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm):  # it is encrypted, or of a kind that nobody knows
        raise ValueError("no private key") from None


def _from_scalar(text: str) -> ec.EllipticCurvePrivateKey:
    scalar = unpadded(text.strip())
    if len(scalar) != 32:
        raise ValueError("no key of 32 bytes")
    return ec.derive_private_key(int.from_bytes(scalar), ec.SECP256R1())
