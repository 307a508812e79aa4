"""Devices for push: whether a token can be one. Only its platform can say whether it is somebody's."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

import msgspec

from clarion_core.domain.medium import Medium
from clarion_core.domain.recipient import Device
from clarion_core.urls import read_https

MAX_TOKEN = 4_096
"""Characters of a token."""

_FORMS = {
    Medium.FCM: (re.compile(r"[A-Za-z0-9_:.-]+"), "an FCM registration token: letters, digits and -_:. alone"),
    Medium.APNS: (re.compile(r"(?:[0-9A-Fa-f]{2}){8,}"), "an APNs device token: hexadecimal digits, an even number"),
}
_SUBSCRIPTION = "a Web Push subscription: send what JSON.stringify(subscription) gives, with endpoint and keys"
_KEYS = {"p256dh": 65, "auth": 16}  # RFC 8291 §3.1 and §3.2: octets of the uncompressed point, and of the secret


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A Web Push subscription as browsers give it (W3C Push API, `PushSubscriptionJSON`)."""

    endpoint: str
    keys: Mapping[str, str]


def check_device(device: Device) -> None:
    """`ValueError` says why the token can't be one of the device's platform; it repeats nothing of it."""
    if not device.token:
        raise ValueError("is required: what the platform knows the device by")
    if len(device.token) > MAX_TOKEN:
        raise ValueError(f"is longer than {MAX_TOKEN:,} characters")
    if device.platform is Medium.WEB_PUSH:
        _check_subscription(device.token)
        return
    form, meant = _FORMS[device.platform]
    if not form.fullmatch(device.token):
        raise ValueError(f"is not {meant}")


def _check_subscription(token: str) -> None:
    try:
        subscription = msgspec.json.decode(token.encode("utf-8", "replace"), type=Subscription)
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise ValueError(f"is not {_SUBSCRIPTION}") from None
    try:
        read_https(subscription.endpoint)
    except ValueError as error:
        raise ValueError(f"is not {_SUBSCRIPTION}: its endpoint {error}") from None
    for name, octets in _KEYS.items():
        if len(_octets(subscription.keys.get(name, ""))) != octets:
            raise ValueError(f"is not {_SUBSCRIPTION}: its key {name} must be {octets} octets in base64url")


def _octets(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""
