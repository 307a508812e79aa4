"""What one person got, shown as they see it: a mail, bubbles on a phone, notifications, a document at an endpoint."""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from clarion.v1.delivery_pb2 import Delivery
from clarion_core.domain.medium import Channel
from clarion_core.domain.sms_text import Alphabet
from clarion_stack.accounting import key_of
from clarion_stack.hooks import VALID
from clarion_stack.mailbox import Mailbox
from clarion_stack.records import Call, Notification, TextMessage

WIDTH = 100
_BUBBLE = 64


def show_received(console: Console, mailbox: Mailbox, deliveries: Sequence[Delivery]) -> None:
    """Show the messages of these deliveries, those of one person, that are in the mailbox."""
    [user_id] = {delivery.user_id for delivery in deliveries}
    console.print(f"\n[bold]What {user_id} got[/bold]")
    for delivery in deliveries:
        channel = Channel(delivery.channel)
        for path in _files(mailbox, channel, key_of(delivery)):
            for shown in _SHOWN[channel](path):
                console.print(shown)


def _files(mailbox: Mailbox, channel: Channel, key: str) -> Iterator[Path]:
    return (path for path in mailbox.files(channel) if key and f"Z_{key}_" in path.name)


def _mail(path: Path) -> Iterator[RenderableType]:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    text = message.get_body(("plain",))
    head = Text(f"From     {message['From']}\nTo       {message['To']}\n", "dim")
    head.append("Subject  ").append(str(message["Subject"]), "not dim bold")
    body = Text(f"\n{text.get_content().strip()}" if text else "\n(HTML alone)")
    yield _panel("mail", Group(head, body), "blue")


def _text(path: Path) -> Iterator[RenderableType]:
    text = msgspec.json.decode(path.read_bytes(), type=TextMessage)
    bubbles = [Panel(Text(part), box=box.ROUNDED, width=_BUBBLE, style="green") for part in text.parts]
    letters, count = len("".join(text.parts)), len(text.parts)
    alphabet = "GSM 7 bit" if text.alphabet == Alphabet.GSM7.title else text.alphabet
    size = f"{letters} characters, {alphabet}, {count} segment{'' if count == 1 else 's'}"
    head = Text(f"{text.source} to {text.to}", "dim")
    yield _panel("text message", Group(head, *bubbles, Text(size, "dim")), "green")


def _notification(path: Path) -> Iterator[RenderableType]:
    note = msgspec.json.decode(path.read_bytes(), type=Notification)
    message = note.message
    shown = message.get("notification", {})
    lines = [Text(shown.get("title", ""), "bold"), Text(shown.get("body", ""))]
    actions = message.get("webpush", {}).get("notification", {}).get("actions", [])
    buttons = Text("  ").join(Text(f" {action['title']} ", "reverse") for action in actions)
    device = Text(f"device {note.device[:22]}…", "dim")
    yield _panel("notification", Group(*lines, Text(), buttons, device), "magenta")


def _call(path: Path) -> Iterator[RenderableType]:
    call = msgspec.json.decode(path.read_bytes(), type=Call)
    right = call.signature == VALID
    sealed = Text("✓ " if right else "✗ ", "bold green" if right else "bold red").append(call.signature)
    sent_to = Text(f"POST {call.url}", "dim")
    body = Text(json.dumps(json.loads(call.body), indent=2, ensure_ascii=False))
    yield _panel("webhook", Group(sent_to, sealed, body), "yellow")


_SHOWN = {Channel.EMAIL: _mail, Channel.SMS: _text, Channel.PUSH: _notification, Channel.WEBHOOK: _call}


def _panel(title: str, inside: RenderableType, colour: str) -> Panel:
    return Panel(inside, title=title, title_align="left", border_style=colour, box=box.ROUNDED, width=WIDTH)
