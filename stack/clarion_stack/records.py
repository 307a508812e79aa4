"""What the page shows of messages that are kept as JSON: text messages, notifications, and calls of webhooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from clarion_core.domain.medium import Channel
from clarion_stack.page import Item, item_of

_SHOWN = 200  # characters of a line in the list


class TextMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A text message in its parts, one a segment; `ids` are those that the SMSC gave them."""

    source: str = msgspec.field(name="from")
    to: str
    alphabet: str
    parts: list[str]
    ids: list[str]

    def summary(self) -> dict[str, str]:
        """What the list shows."""
        return {"from": self.source, "to": self.to, "subject": "".join(self.parts)}


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """A notification as FCM's `message`, and the name that it was given."""

    name: str
    device: str
    message: dict[str, Any]

    def summary(self) -> dict[str, str]:
        """What the list shows."""
        shown = self.message.get("notification")
        words = [shown.get(name) for name in ("title", "body")] if isinstance(shown, dict) else []
        return {"from": "", "to": self.device, "subject": " – ".join(map(str, filter(None, words))) or "(silent)"}


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a webhook, and what is to be said of its signature."""

    url: str
    signature: str
    headers: list[tuple[str, str]]
    body: str

    def summary(self) -> dict[str, str]:
        """What the list shows."""
        return {"from": self.signature, "to": self.url, "subject": self.body}


Record = TextMessage | Notification | Call


def _reader(kind: type[Record]) -> Callable[[Path], Item]:
    def read(path: Path) -> Item:
        """Somebody may have put a file of any kind there: one that is not ours is shown as it is."""
        raw = path.read_bytes()
        try:
            record = msgspec.json.decode(raw, type=kind)
            summary = {name: value[:_SHOWN] for name, value in record.summary().items()}
            body = msgspec.to_builtins(record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            summary, body = {"from": "", "to": "", "subject": "(can't be read)"}, {}
        return item_of(path, summary, body, raw.decode(errors="replace"))

    return read


READ: Mapping[Channel, Callable[[Path], Item]] = {
    Channel.SMS: _reader(TextMessage),
    Channel.PUSH: _reader(Notification),
    Channel.WEBHOOK: _reader(Call),
}
