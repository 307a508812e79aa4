"""What the push channel takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from clarion_workers.channels import Message


class Button(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A button under a notification: what the app is told, what people read, and where it leads, perhaps."""

    id: str
    title: str
    link: str = ""


class PushMessage(Message, frozen=True, kw_only=True):
    """One rendered notification for one device, `token`: a registration token, or a Web Push subscription as JSON.

    Empty texts and None are what the app or the platform decides. `ttl_s` is how long the platform may keep it for a
    device that is off; 0: it is delivered now or never, None: as long as the platform likes. `overrides` are merged
    over the payload of the device's platform (a JSON merge patch, RFC 7396). `silent`: nothing is shown, the app is
    woken. It is a `Notification` of clarion_core.push, where what becomes of each field is told.
    """

    token: str
    title: str = ""
    body: str = ""
    link: str = ""
    image: str = ""
    buttons: tuple[Button, ...] = ()
    data: Mapping[str, str] = {}
    silent: bool = False
    badge: int | None = None
    sound: str = ""
    thread_id: str = ""
    collapse_id: str = ""
    category: str = ""
    channel_id: str = ""
    priority: Literal["high", "normal"] = "high"
    ttl_s: int | None = None
    overrides: Mapping[str, object] = {}

    def lifetime_s(self, now_s: float) -> int | None:
        """For how many seconds it is worth keeping, at this time of the deadline's clock; None: for ever."""
        left_s = min(self.deadline_s - now_s, float("inf") if self.ttl_s is None else self.ttl_s)
        return None if left_s == float("inf") else max(0, int(left_s))
