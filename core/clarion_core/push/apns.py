"""A notification as APNs takes it (developer.apple.com, "Generating a remote notification")."""

from __future__ import annotations

from typing import Any

from clarion_core.push.notification import OURS, Notification, given, merged, ours


def payload(notification: Notification) -> dict[str, Any]:
    """The JSON of a request. `data` stands beside `aps`."""
    built = {**notification.data, OURS: ours(notification), "aps": aps(notification)}
    return merged(built, notification.overrides)


def aps(notification: Notification, *, alert: bool = True) -> dict[str, Any]:
    """What the system reads of it; without `alert`, all but the texts."""
    if notification.silent:
        return {"content-available": 1}
    return given(
        {
            "alert": given({"title": notification.title, "body": notification.body}) if alert else None,
            "badge": notification.badge,
            "sound": notification.sound,
            "thread-id": notification.thread_id,
            "category": notification.category,
            "mutable-content": 1 if notification.image else None,  # the app's extension fetches the picture
        }
    )
