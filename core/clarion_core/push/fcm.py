"""A notification as FCM's HTTP v1 API takes it (firebase.google.com/docs/reference/fcm/rest/v1/projects.messages).

A registration token may be of an Android, an Apple or a web app, and a token does not tell: each has its part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from clarion_core.push.apns import aps
from clarion_core.push.notification import OURS, Notification, given, merged, ours, replaces

TTL_MAX_S = 2_419_200
"""How long FCM keeps a message at most, and does unless told: four weeks."""


def message(notification: Notification, *, token: str = "", lifetime_s: int | None = None) -> dict[str, Any]:
    """The `message` of a request: for this token, and worth delivering for so many seconds."""
    built: dict[str, Any] = {
        "data": {**notification.data, OURS: msgspec.json.encode(ours(notification)).decode()},
        "android": _android(notification, lifetime_s),
        "apns": _apns(notification),
        "webpush": _webpush(notification, lifetime_s),
    }
    if not notification.silent:
        shown = {"title": notification.title, "body": notification.body, "image": notification.image}
        built["notification"] = given(shown)
    if notification.overrides:
        built = merged(built, notification.overrides)
    built["token"] = token
    return built


def size(message: Mapping[str, Any]) -> int:
    """Bytes of what a device is sent of it: what is for all, and the largest of the parts for one kind of device."""
    for_all = {name: message[name] for name in ("notification", "data") if name in message}
    parts = [("android", "notification"), ("apns", "payload"), ("webpush", "notification")]
    of_one = [of[part] for kind, part in parts if isinstance(of := message.get(kind), dict) and part in of]
    return len(msgspec.json.encode(for_all)) + max((len(msgspec.json.encode(part)) for part in of_one), default=0)


def _android(notification: Notification, lifetime_s: int | None) -> dict[str, Any]:
    options = {
        "priority": notification.priority.upper(),
        "collapse_key": notification.collapse_id,
        "ttl": "" if lifetime_s is None else f"{min(lifetime_s, TTL_MAX_S)}s",
    }
    if notification.silent:
        return given(options)
    shown = {
        "tag": replaces(notification),
        "channel_id": notification.channel_id,
        "click_action": notification.category,
        "sound": notification.sound,
        "notification_count": notification.badge,
    }
    return given({**options, "notification": given(shown)})


def _apns(notification: Notification) -> dict[str, Any]:
    # FCM makes the alert itself, of what is for all.
    urgent = notification.priority == "high" and not notification.silent
    headers = {
        "apns-push-type": "background" if notification.silent else "alert",
        "apns-priority": "10" if urgent else "5",
        "apns-collapse-id": "" if notification.silent else replaces(notification),
    }
    return {"headers": given(headers), "payload": {"aps": aps(notification, alert=False)}}


def _webpush(notification: Notification, lifetime_s: int | None) -> dict[str, Any]:
    headers: dict[str, str] = {"Urgency": notification.priority}
    if lifetime_s is not None:
        headers["TTL"] = str(min(lifetime_s, TTL_MAX_S))
    if notification.silent:
        return {"headers": headers}
    actions = [{"action": button.id, "title": button.title} for button in notification.buttons]
    part: dict[str, Any] = {
        "headers": headers,
        "notification": given({"tag": replaces(notification), "actions": actions}),
    }
    if notification.link.startswith("https://"):  # FCM refuses any other
        part["fcm_options"] = {"link": notification.link}
    return part
