"""The recipient: a person in one trigger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clarion_core.domain.medium import Medium


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Something that shows notifications: its platform's medium, and the token the platform knows it by.

    A Web Push subscription is the JSON that browsers give.
    """

    platform: Medium
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A person: the caller's id, an address a channel, devices for push, and data. Values are JSON values."""

    user_id: str
    addresses: Mapping[str, str]
    devices: tuple[Device, ...] = ()
    locale: str = ""
    profile: Mapping[str, object] = field(default_factory=dict)
    context: Mapping[str, object] = field(default_factory=dict)
