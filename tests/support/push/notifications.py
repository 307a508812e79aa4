"""Notifications, and keys of providers, as the tests of push use them."""

from __future__ import annotations

import functools
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clarion_workers.channels.push import Button, PushMessage


def notification(number: int = 0, token: str = "", **changes: Any) -> PushMessage:
    values: dict[str, Any] = {
        "delivery_id": f"00j4k-{number}",
        "token": token,
        "title": f"Your order {number}",
        "body": "Thank you.",
    } | changes
    return PushMessage(**values)


EVERYTHING: dict[str, Any] = {
    "title": "Your order is on its way",
    "body": "Größe M • 2 Stück 🎁",
    "link": "https://shop.example/orders/7",
    "image": "https://shop.example/7.png",
    "buttons": (
        Button(id="track", title="Track", link="https://shop.example/track/7"),
        Button(id="later", title="Later"),
    ),
    "data": {"order": "7"},
    "badge": 3,
    "sound": "default",
    "thread_id": "orders",
    "collapse_id": "order-7",
    "category": "ORDER",
    "channel_id": "orders",
    "priority": "high",
    "ttl_s": 3_600,
}
"""A notification that says all that one can."""


@functools.cache
def rsa_private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@functools.cache
def other_rsa_private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@functools.cache
def p256_private_key(name: str = "") -> ec.EllipticCurvePrivateKey:
    """A key for each name."""
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
