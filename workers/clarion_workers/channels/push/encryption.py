"""Message encryption for Web Push (RFC 8291), in the content coding aes128gcm (RFC 8188)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RECORD_SIZE = 4_096
_CURVE = ec.SECP256R1()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What a browser gave for encrypting to it: its public key on P-256, uncompressed, and its secret of 16 bytes."""

    p256dh: ec.EllipticCurvePublicKey
    point: bytes
    auth: bytes

    @classmethod
    def of(cls, point: bytes, auth: bytes) -> Keys:
        """The keys in these bytes. `ValueError` where they are none."""
        if len(auth) != 16:
            raise ValueError("auth has not 16 bytes")
        return cls(p256dh=ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point), point=point, auth=auth)


def encrypted(
    plaintext: bytes, keys: Keys, *, own: ec.EllipticCurvePrivateKey | None = None, salt: bytes | None = None
) -> bytes:
    """The body of a request, in one record. `own` and `salt` are new for each message, except where a test knows."""
    own = own or ec.generate_private_key(_CURVE)
    salt = salt or os.urandom(16)
    point = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    secret = own.exchange(ec.ECDH(), keys.p256dh)
    material = _derived(secret, salt=keys.auth, info=b"WebPush: info\0" + keys.point + point, length=32)
    key = _derived(material, salt=salt, info=b"Content-Encoding: aes128gcm\0", length=16)
    nonce = _derived(material, salt=salt, info=b"Content-Encoding: nonce\0", length=12)
    record = AESGCM(key).encrypt(nonce, plaintext + b"\x02", None)  # 2: the last record
    return salt + RECORD_SIZE.to_bytes(4) + bytes([len(point)]) + point + record


def _derived(material: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(material)
