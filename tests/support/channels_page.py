"""docs/channels.md, made of what the kinds of provider and their peers say of themselves.

`cd tests && python -m support.channels_page` writes it.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from clarion_core.domain.medium import Channel
from clarion_workers.channels.kind import ProviderKind, Supports
from clarion_workers.channels.registry import PROVIDERS
from support.peers import peer_class
from support.peers.peer import BEHAVIOURS

PAGE = Path(__file__).parents[2] / "docs" / "channels.md"
TITLES = {Channel.EMAIL: "E-mail", Channel.SMS: "SMS", Channel.PUSH: "Push", Channel.WEBHOOK: "Webhook"}
COLUMNS = {
    field.name: field.name.replace("_", " ").replace("provider id", "id of its own") for field in fields(Supports)
}
HEAD = """\
# Channels and providers

Every kind of provider passes one conformance suite (`tests/channels/test_conformance.py`), against a real server on
loopback that checks what it is asked by the provider's own rules and misbehaves on demand. What the table says of
idempotency keys, ids, expiry and waiting is compared with what that server was given. A dash: the provider has none.

This page is written by `cd tests && python -m support.channels_page`; a test fails while it is not what the code says.
How to add a kind: [adding-a-provider.md](adding-a-provider.md).
"""
FOOT = """\
**idempotency key**: it takes a second hand-over under the same key for the first one. **id of its own**: it is kept
with the delivery, and receipts name it. **expiry**: it is told until when a message is worth delivering. **retry
after**: how long it asks to wait is heard. **receipts**: what it tells later of a message. **not asked for**: what
the protocol has no word for, or what a peer can't do to one message, since it learns of the message by the hand-over.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *map(_channel, Channel), FOOT])


def _channel(channel: Channel) -> str:
    kinds = {name: kind for name, kind in PROVIDERS.items() if kind.medium.channel is channel}
    if not kinds:
        return f"## {TITLES[channel]}\n\nNo provider yet.\n"
    head = ["provider", "kind", *COLUMNS.values(), "tested against", "not asked for"]
    rows = [head, ["---"] * len(head), *(_row(name, kind) for name, kind in kinds.items())]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    notes = "".join(f"\n- **{kind.title}**: {kind.notes}" for kind in kinds.values() if kind.notes)
    return f"## {TITLES[channel]}\n\n{table}\n{notes}\n" if notes else f"## {TITLES[channel]}\n\n{table}\n"


def _row(name: str, kind: ProviderKind) -> list[str]:
    peer = peer_class(name)
    lacking = [each for each in BEHAVIOURS if each not in peer.behaviours]
    supports = [getattr(kind.supports, column) or "—" for column in COLUMNS]
    return [kind.title, f"`{name}`", *supports, peer.TESTED_BY, ", ".join(lacking) or "—"]


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), "utf-8")
