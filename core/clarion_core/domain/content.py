"""What a campaign says on each channel. Templates are Jinja2; what is one says so, all else is the same for everybody.

`configuration` is the id of the channel configuration to send with, empty for the one called like the channel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from clarion_core.domain.medium import Medium

MAX_SMS_CHARACTERS = 1_600
"""Characters a rendered text message may have: ten segments in the GSM alphabet, and what Twilio takes at most."""

MAX_BODY_BYTES = 64 * 1024
"""Bytes of a webhook's document as JSON, as it is saved."""

MAX_BODY_DEPTH = 32
"""Levels of a webhook's document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file. With a `content_id` it is shown inside of the HTML, without one it is attached.

    `sha256` (in hexadecimal) and `size` are its data's; they stay where the data are kept elsewhere.
    """

    name: str
    content_type: str
    data: bytes = b""
    content_id: str = ""
    sha256: str = ""
    size: int = 0

    def __post_init__(self) -> None:
        """Describe the data, where nobody has."""
        if self.data and not self.sha256:
            object.__setattr__(self, "sha256", hashlib.sha256(self.data).hexdigest())
            object.__setattr__(self, "size", len(self.data))


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailContent:
    """An e-mail: `subject`, `html`, `text`, `amp`, `cc`, the values of `headers` and `list_unsubscribe` are templates.

    `sender` and `reply_to` are RFC 5322 mailboxes, `bcc` are addresses.
    """

    sender: str
    subject: str
    reply_to: str = ""
    html: str = ""
    text: str = ""
    amp: str = ""
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    list_unsubscribe: tuple[str, ...] = ()
    configuration: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsContent:
    """A text message: `text` is a template. An empty `sender` is the configuration's.

    `transliterate`: characters that would double the segments are written by near ones of the GSM alphabet.
    """

    text: str
    sender: str = ""
    transliterate: bool = False
    configuration: str = ""


class PushPriority(StrEnum):
    """How soon a device that sleeps is woken."""

    HIGH = "high"
    NORMAL = "normal"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushButton:
    """A button: `title` and `link` are templates, `id` is what the app is told."""

    id: str
    title: str
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushContent:
    """A notification: texts, links, `data`, `badge`, `thread_id` and `collapse_id` are templates.

    `ttl_s` None: as long as the platform likes. `overrides` are JSON objects, merged over the platform's payload.
    """

    title: str = ""
    body: str = ""
    link: str = ""
    image: str = ""
    buttons: tuple[PushButton, ...] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False
    badge: str = ""
    sound: str = ""
    thread_id: str = ""
    collapse_id: str = ""
    category: str = ""
    channel_id: str = ""
    priority: PushPriority = PushPriority.HIGH
    ttl_s: int | None = None
    overrides: Mapping[Medium, Mapping[str, object]] = field(default_factory=dict)
    configuration: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookContent:
    """A call of an endpoint: `body` is a JSON value whose strings are templates.

    `url` is called where a recipient has no address for the channel.
    """

    body: object
    url: str = ""
    configuration: str = ""


Content = EmailContent | SmsContent | PushContent | WebhookContent
