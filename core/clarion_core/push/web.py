"""A notification as a browser gets it: JSON for the site's service worker.

It has the form of a declarative push message (W3C Push API): browsers that know that show it without a service worker,
where it has a link, and what stands under `notification` are the options of the Notifications API everywhere.
"""

from __future__ import annotations

from typing import Any

from clarion_core.push.notification import OURS, Notification, given, merged, ours, replaces

DECLARATIVE = 8030
"""What tells a browser that a message is declarative."""


def payload(notification: Notification) -> dict[str, Any]:
    """The JSON that is encrypted. A silent one has `data` alone."""
    data = {**notification.data, OURS: ours(notification)}
    built = {"data": data} if notification.silent else _shown(notification, data)
    return merged(built, notification.overrides)


def _shown(notification: Notification, data: dict[str, Any]) -> dict[str, Any]:
    actions = [
        given({"action": button.id, "title": button.title, "navigate": button.link or notification.link})
        for button in notification.buttons
    ]
    shown = given(
        {
            "title": notification.title,
            "body": notification.body,
            "navigate": notification.link,
            "image": notification.image,
            "tag": replaces(notification),
            "actions": actions,
            "data": data,
        }
    )
    built: dict[str, Any] = {"notification": shown}
    if notification.link and notification.title:  # browsers ask for both
        built = {"web_push": DECLARATIVE, **built}
    if notification.badge is not None:
        built["app_badge"] = notification.badge
    return built
