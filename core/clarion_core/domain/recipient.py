"""The recipient: a person in one trigger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A person: the caller's id, an address a channel, and data. Values are JSON values."""

    user_id: str
    addresses: Mapping[str, str]
    locale: str = ""
    profile: Mapping[str, object] = field(default_factory=dict)
    context: Mapping[str, object] = field(default_factory=dict)
