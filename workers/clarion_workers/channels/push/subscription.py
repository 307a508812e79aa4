"""A Web Push subscription, as a browser's `PushSubscription.toJSON()` gives it. It comes from a device: hostile."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from clarion_core.configuration.keys import unpadded
from clarion_core.configuration.webpush import authority
from clarion_core.devices import Subscription
from clarion_workers.channels.guard import Forbidden, Guard
from clarion_workers.channels.push.encryption import Keys


class Unusable(Exception):
    """It can't be sent to; in words, without what it says."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send to, the origin that has to know us (RFC 8292 §2), and what to encrypt with."""

    endpoint: str
    origin: str
    keys: Keys


def target(token: str, services: Sequence[str], guard: Guard) -> Target:
    """What this subscription says, if it is at one of these push services and may be called. `Unusable` if not.

    The task that asks is the one that may then connect (see `Guard.admit`).
    """
    try:
        given = msgspec.json.decode(token, type=Subscription)
        keys = Keys.of(unpadded(given.keys.get("p256dh", "")), unpadded(given.keys.get("auth", "")))
    except ValueError:
        raise Unusable("it is no subscription with an endpoint and keys") from None
    try:
        url = guard.admit(given.endpoint)
    except Forbidden as rule:
        raise Unusable(f"its endpoint may not be called: {rule}") from None
    named = authority(url)
    if url.scheme != "https" or not any(_is_of(service, named) for service in services):
        raise Unusable("its endpoint is of no push service that the configuration names")
    return Target(endpoint=url.text, origin=f"https://{named}", keys=keys)


def _is_of(service: str, named: str) -> bool:
    if service == "*":
        return True
    if service.startswith("*."):
        return named.endswith(service[1:])
    return named == service
