"""What a platform would certainly refuse: asked when a campaign is saved, and before a notification leaves."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from clarion_core.domain.medium import Medium
from clarion_core.push import apns, fcm, web
from clarion_core.push.notification import OURS, Notification

PAYLOAD_MAX = 4_096
"""Bytes of a notification: APNs' and FCM's documents say so, and of an encrypted body RFC 8030 §7.2."""

WEB_PAYLOAD_MAX = PAYLOAD_MAX - 103
"""Bytes before encryption: its header takes 86, the delimiter 1, the tag 16 (RFC 8188 §2)."""

COLLAPSE_ID_MAX = 64
"""Bytes of `apns-collapse-id` ("Sending notification requests to APNs")."""

_FCM_TARGETS = ("token", "topic", "condition", "fid", "name")


class Problem(NamedTuple):
    """Why it would be refused. `field` is the path of what is wrong in a notification, empty for the whole of it."""

    field: str
    words: str


def problems(medium: Medium, notification: Notification, taken: int | None = None) -> list[Problem]:
    """All that its platform would refuse of it; nothing of what may be well. `taken`: its size, where that is known.

    Texts that are still templates are measured as they stand, so an answer without problems is no promise then.
    """
    found = _reserved(medium, notification)
    if len(notification.collapse_id.encode()) > COLLAPSE_ID_MAX:
        found.append(Problem("collapse_id", f"must have {COLLAPSE_ID_MAX} bytes at most"))
    if medium is Medium.FCM:
        found += [
            Problem(f"overrides.{key}", "can't be told here") for key in _FCM_TARGETS if key in notification.overrides
        ]
    taken = size(medium, notification) if taken is None else taken
    allowed = WEB_PAYLOAD_MAX if medium is Medium.WEB_PUSH else PAYLOAD_MAX
    if taken > allowed:
        found.append(Problem("", f"the payload for {medium.value} has {taken:,} bytes; {allowed:,} are the most"))
    return found


def size(medium: Medium, notification: Notification) -> int:
    """Bytes of what is sent to a device of this medium, before encryption."""
    if medium is Medium.FCM:
        return fcm.size(fcm.message(notification))
    return len(msgspec.json.encode((apns if medium is Medium.APNS else web).payload(notification)))


def _reserved(medium: Medium, notification: Notification) -> list[Problem]:
    return [
        Problem(f"data.{key}", "is a reserved name")
        for key in notification.data
        if key == OURS or _is_taken(medium, key)
    ]


def _is_taken(medium: Medium, key: str) -> bool:
    if medium is Medium.APNS:
        return key == "aps"
    # "Input only. The key should not be a reserved word", REST reference of projects.messages
    return medium is Medium.FCM and (
        key in ("from", "message_type") or key.startswith(("google.", "gcm.notification."))
    )
