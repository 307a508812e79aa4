"""What the renderer takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clarion_core.domain.campaign import Definition
from clarion_core.domain.recipient import Recipient


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A campaign revision to render: `key` is unique over workspaces, campaigns and revisions."""

    key: str
    campaign_id: str
    definition: Definition


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderRequest:
    """One recipient's message. `context` is resolved: defaults, shared and own values, date-times as datetimes."""

    recipient: Recipient
    context: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedEmail:
    """An e-mail's texts. The subject is one line; `html` and `text` are empty where the campaign has none."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderFailure:
    """A template raised for this recipient. `detail` names the template, the line and the error, with no data."""

    detail: str


Rendered = RenderedEmail | RenderFailure
