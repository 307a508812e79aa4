"""What the conformance suite needs to know of a kind of provider: how to make one behave, and what it got."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from clarion_core.domain.delivery import Reason
from clarion_workers.channels import Channel, Message

BEHAVIOURS = (
    "takes",
    "refuses for now",
    "refuses the recipient",
    "refuses the message",
    "throttles",  # asks to come back after 7 seconds, where it has words for that
    "hangs before hand-over",
    "hangs after hand-over",
    "breaks before hand-over",
    "breaks after hand-over",
)


class Peer(ABC):
    """A real server on loopback. A message says how it is to behave: `message(behaviour, number)`.

    What can't be: a kind whose protocol has no such thing leaves the behaviour out of `behaviours`, and says in its
    docstring why.
    """

    TESTED_BY: str
    """What the kind is tested against, in words for docs/channels.md."""
    behaviours: Sequence[str] = BEHAVIOURS
    LARGE = 2_000_000
    """Characters of a text that it certainly takes."""
    SECRETS: Sequence[str] = ()
    """What must never be logged: addresses, texts, credentials."""
    RECIPIENTS_OWN = False
    """Whether each recipient has such a server of his own, so that its troubles are his and not the provider's."""
    LOOKED_AT = True
    """Whether `check` connects: not where each recipient has a server of his own, or a push service."""
    throttle_s: float | None = None
    """How long it asks to wait when it throttles; None where it can't say."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        """Set: what hangs is answered."""

    def trouble(self, reason: Reason) -> Reason:
        """What a trouble of the server's is called that is this one where the server is a provider's."""
        return Reason.RECIPIENT_DEFERRED if self.RECIPIENTS_OWN else reason

    @abstractmethod
    def channel(self, **changes: Any) -> Channel[Any]:
        """A channel to it; `connections` and `timeout_s` can be changed."""

    @abstractmethod
    def unreachable(self) -> Channel[Any]:
        """A channel to a port where nobody is."""

    @abstractmethod
    def wrongly_known(self) -> Channel[Any] | None:
        """A channel with credentials that it does not take; None where it has none."""

    @abstractmethod
    def distrusting(self) -> Channel[Any] | None:
        """A channel that can't verify its certificate; None where the protocol has no TLS."""

    @abstractmethod
    def message(self, behaviour: str, number: int, text: str = "Thank you.\n") -> Message:
        """A message that it is to treat so; its delivery id is `00j4k-{number}`."""

    @abstractmethod
    def received(self) -> list[str]:
        """The delivery ids of the messages that were handed over whole, in order."""

    @abstractmethod
    def received_texts(self) -> list[str]:
        """The texts of those messages, as it understood them."""

    @abstractmethod
    async def wait_for(self, count: int) -> None:
        """Return once so many messages were handed over."""

    @abstractmethod
    async def close(self) -> None:
        """Close the channels that it made."""

    def keys(self) -> list[str] | None:
        """The idempotency key of each message that was handed over; None where the provider has no such thing."""
        return None

    def lifetimes_s(self) -> list[float | None] | None:
        """How long each message was said to be worth delivering; None where the provider can't be told."""
        return None

    def ids(self) -> list[str] | None:
        """The id that it gave to each message; None where it gives none."""
        return None
