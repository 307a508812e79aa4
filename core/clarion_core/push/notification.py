"""What is said in a notification, and the parts of a payload that are ours on every platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

OURS = "clarion"
"""The key under which an app finds what platforms have no field for; `data` can't have it."""


class Button(Protocol):
    """A button: what the app is told, what people read, and where it leads, perhaps."""

    @property
    def id(self) -> str:
        """What the app is told."""
        ...

    @property
    def title(self) -> str:
        """What people read."""
        ...

    @property
    def link(self) -> str:
        """Where it leads; empty: the app decides."""
        ...


class Notification(Protocol):
    """One notification for one device, rendered. Empty texts and None are left to the app or the platform."""

    @property
    def delivery_id(self) -> str:
        """Whose delivery it is: the same in every attempt, so a second copy replaces the first on the screen."""
        ...

    @property
    def title(self) -> str:
        """The first line."""
        ...

    @property
    def body(self) -> str:
        """The text."""
        ...

    @property
    def link(self) -> str:
        """What a tap opens."""
        ...

    @property
    def image(self) -> str:
        """A picture's URL."""
        ...

    @property
    def buttons(self) -> Sequence[Button]:
        """What can be tapped besides."""
        ...

    @property
    def data(self) -> Mapping[str, str]:
        """What the app is told besides."""
        ...

    @property
    def silent(self) -> bool:
        """Nothing is shown; the app is woken."""
        ...

    @property
    def badge(self) -> int | None:
        """The number on the app's icon; 0 takes it away."""
        ...

    @property
    def sound(self) -> str:
        """A sound's name; `default` is the device's."""
        ...

    @property
    def thread_id(self) -> str:
        """Notifications of one thread are shown together."""
        ...

    @property
    def collapse_id(self) -> str:
        """A later notification with the same one takes this one's place."""
        ...

    @property
    def category(self) -> str:
        """What kind it is, to the app: which buttons it has (iOS), which activity it opens (Android)."""
        ...

    @property
    def channel_id(self) -> str:
        """The Android notification channel."""
        ...

    @property
    def priority(self) -> Literal["high", "normal"]:
        """Whether it wakes a sleeping device."""
        ...

    @property
    def overrides(self) -> Mapping[str, object]:
        """Merged over the platform's payload."""
        ...


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the fields that say something: no empty text, list or mapping, no None; but numbers, 0 too."""
    return {name: value for name, value in fields.items() if value or value == 0}


def replaces(notification: Notification) -> str:
    """Of two notifications that have this in common, devices show the later one alone."""
    return notification.collapse_id or notification.delivery_id


def ours(notification: Notification) -> dict[str, Any]:
    """What stands under `OURS`: `delivery`, `link`, `image`, `thread` and `buttons`, as far as they are given."""
    buttons = [given({"id": button.id, "title": button.title, "link": button.link}) for button in notification.buttons]
    return given(
        {
            "delivery": notification.delivery_id,
            "link": notification.link,
            "image": notification.image,
            "thread": notification.thread_id,
            "buttons": buttons,
        }
    )


def merged(payload: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The payload with the overrides merged over it, at every depth: a JSON merge patch (RFC 7396), so null removes."""
    result = dict(payload)
    for name, value in overrides.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            under = result.get(name)
            result[name] = merged(under if isinstance(under, Mapping) else {}, value)
        else:
            result[name] = value
    return result
