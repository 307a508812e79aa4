"""What comes in from text messaging: what became of a message of ours, and what somebody writes to us."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

import msgspec

from clarion_core.domain.feedback import Fact
from clarion_core.domain.medium import Channel


class Fate(Enum):
    """What became of a message, by SMPP 3.4 §5.2.28; other providers' words are mapped to it."""

    ENROUTE = 1
    DELIVERED = 2
    EXPIRED = 3  # its validity period was over
    DELETED = 4
    UNDELIVERABLE = 5
    ACCEPTED = 6
    UNKNOWN = 7
    REJECTED = 8

    @property
    def is_final(self) -> bool:
        """Whether nothing more will be heard of it."""
        return self not in (Fate.ENROUTE, Fate.ACCEPTED)


class Receipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a provider tells of a message that it took: `message_id` is the one it gave it then.

    `error` is its own or the network's code, empty where it has none.
    """

    message_id: str
    fate: Fate
    error: str = ""


class Inbound(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A text message to one of our numbers, by digits as the provider writes them, with a plus where it says so."""

    from_number: str
    to_number: str
    text: str


class Ears(Protocol):
    """Who takes in what comes. A provider is told that it was taken once the call returns; raising, it is told to come
    again. So everything may come twice.
    """

    async def on_receipt(self, receipt: Receipt) -> None:
        """Take in what became of a message."""
        ...

    async def on_inbound(self, inbound: Inbound) -> None:
        """Take in what somebody wrote."""
        ...


class Hears(Protocol):
    """Where facts go, and the wish to be left alone. Whatever it raises, nothing is lost if it is told again."""

    async def hear_sent_as(self, provider: str, provider_id: str, fact: Fact) -> object:
        """Take in a fact of what a provider has under this id."""
        ...

    async def stop(self, workspaces: Sequence[str], channel: Channel, address: str, *, source: str) -> None:
        """Somebody wants no more from these workspaces on this channel."""
        ...

    async def start(self, workspaces: Sequence[str], channel: Channel, address: str) -> None:
        """Somebody wants messages again: what stop did is undone."""
        ...
