"""What a message travels by. Channels are what campaigns speak of; a medium is what providers speak."""

from __future__ import annotations

from enum import StrEnum


class Channel(StrEnum):
    """A way to reach a person, by the name that campaigns and callers use."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    WEBHOOK = "webhook"


class Medium(StrEnum):
    """A channel as its providers see it: push has one for each platform, since no provider serves two of them.

    A batch is of one medium. The value is part of names and records; `letter` ends the ids of its deliveries.
    """

    EMAIL = "email"
    SMS = "sms"
    FCM = "fcm"
    APNS = "apns"
    WEB_PUSH = "web"
    WEBHOOK = "webhook"

    @property
    def channel(self) -> Channel:
        """The channel it belongs to."""
        return Channel.PUSH if self in PLATFORMS else Channel(self.value)

    @property
    def letter(self) -> str:
        """One letter for it, unique among media."""
        return LETTERS[self]


PLATFORMS = (Medium.FCM, Medium.APNS, Medium.WEB_PUSH)
"""The media of push: a device is of one of them."""

LETTERS = {
    Medium.EMAIL: "e",
    Medium.SMS: "s",
    Medium.FCM: "f",
    Medium.APNS: "a",
    Medium.WEB_PUSH: "w",
    Medium.WEBHOOK: "h",
}
MEDIUM_OF = {letter: medium for medium, letter in LETTERS.items()}


def media_of(channel: Channel) -> tuple[Medium, ...]:
    """The media of a channel."""
    return tuple(medium for medium in Medium if medium.channel is channel)
