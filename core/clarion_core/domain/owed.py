"""What a recipient of a campaign is owed: a message on each channel that reaches it, on push for each device."""

from __future__ import annotations

from dataclasses import dataclass

from clarion_core.domain.campaign import Definition
from clarion_core.domain.medium import Channel, Medium
from clarion_core.domain.recipient import Device, Recipient


@dataclass(frozen=True, slots=True)
class Owed:
    """One message: what it travels by, and the device that it is for, where it is for one."""

    medium: Medium
    device: Device | None = None


def owed(definition: Definition, recipient: Recipient) -> list[Owed]:
    """The messages that a campaign owes to a recipient; none where no channel of it reaches the recipient."""
    found = []
    for channel in definition.contents:
        if channel is Channel.PUSH:
            found += [Owed(device.platform, device) for device in recipient.devices]
        elif recipient.addresses.get(channel.value) or (channel is Channel.WEBHOOK and _has_url(definition)):
            found.append(Owed(Medium(channel.value)))
    return found


def _has_url(definition: Definition) -> bool:
    return definition.webhook is not None and bool(definition.webhook.url)
