"""The page that shows a mailbox: one file, nothing from elsewhere, safe with hostile messages.

A message is data to the page, never markup: its parts travel packed in script elements that are not run, and a mail's
HTML is shown in a frame without scripts, forms, navigation or an origin, under a policy that loads nothing.
"""

from __future__ import annotations

import base64
import email.policy
import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from importlib.resources import files
from pathlib import Path

from clarion_core.domain.medium import Channel

LONGEST_PART = 512 * 1024
"""Characters of a part or of the raw message that the page shows."""


@dataclass(frozen=True, slots=True)
class Item:
    """A message as the page holds it: what the list shows, as JSON, and the rest, packed until it is opened."""

    summary: str
    body: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """The messages of a channel that the page shows, in the order given, and how many there are in all."""

    items: Sequence[Item] = ()
    total: int = 0


def item_of(path: Path, summary: Mapping[str, str], body: Mapping[str, object], raw: str) -> Item:
    """A message file as the page holds it. `summary` has `from`, `to` and `subject`."""
    arrived = {"file": path.name, "time": datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()}
    return Item(summary=_inert_json({**arrived, **summary}), body=_packed({**body, "raw": raw[:LONGEST_PART]}))


def read_mail(path: Path) -> Item:
    """Read a message file. One that can't be taken apart is shown as it came."""
    raw = path.read_bytes()
    try:
        message = BytesParser(policy=email.policy.default).parsebytes(raw)
        summary, body = _summary(message), _body(message)
    except Exception as error:  # the parser meets hostile input, and its documentation bounds nothing
        summary = {"from": "", "to": "", "subject": f"(can't be taken apart: {type(error).__name__})"}
        body = {"html": "", "text": "", "headers": [], "attachments": []}
    return item_of(path, summary, body, raw.decode(errors="replace"))


def render_page(shelves: Mapping[Channel, Shelf]) -> str:
    """The page: what each channel's shelf holds."""
    template = (files("clarion_stack") / "page.html").read_text(encoding="utf-8")
    script = re.search(r"<script>(.*?)</script>", template, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    head, tail = template.replace("{script-sha256}", digest).split("{data}")
    shelves = {channel: shelves.get(channel, Shelf()) for channel in Channel}
    bodies = (
        f'<script type="text/plain" id="{channel}{at}">{item.body}</script>\n'
        for channel, shelf in shelves.items()
        for at, item in enumerate(shelf.items)
    )
    index = ",".join(
        f'"{channel}":{{"total":{shelf.total},"items":[{",".join(item.summary for item in shelf.items)}]}}'
        for channel, shelf in shelves.items()
    )
    return "".join([head, f'<script type="application/json" id="index">{{{index}}}</script>\n', *bodies, tail])


def _inert_json(value: object) -> str:
    """JSON in ASCII in which no HTML parser finds a tag or a comment, and no script a line end."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")


def _packed(value: object) -> str:
    """JSON, deflated (RFC 1950), in base64."""
    return base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()


def _summary(message: EmailMessage) -> dict[str, str]:
    return {
        "from": _plain(message["From"] or ""),
        "to": _plain(message["To"] or message["Delivered-To"] or ""),
        "subject": _plain(message["Subject"] or ""),
    }


def _body(message: EmailMessage) -> dict[str, object]:
    return {
        "html": _part(message, "html"),
        "text": _part(message, "plain"),
        "headers": [[name, _plain(value)] for name, value in message.raw_items()],
        "attachments": [_plain(part.get_filename() or part.get_content_type()) for part in message.iter_attachments()],
    }


def _part(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    if part is None or part.get_content_subtype() != subtype:
        return ""
    try:
        content = str(part.get_content())
    except (LookupError, ValueError):  # an unknown charset, a broken transfer encoding
        content = part.as_bytes().decode(errors="replace")
    return _plain(content[:LONGEST_PART])


def _plain(value: object) -> str:
    """Undecodable bytes come as surrogates, which no encoder of a page takes."""
    return str(value).encode(errors="surrogateescape").decode(errors="replace")
