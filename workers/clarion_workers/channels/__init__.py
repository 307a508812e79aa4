"""How messages leave: one small interface, one module a channel."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import msgspec

from clarion_core.domain.outcome import Outcome


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What every channel takes has this much: whose delivery it is, and until when it is worth sending.

    `deadline_s` is when it is too late to hand it over, on this process' monotonic clock, infinite where it never is.
    A struct, since one is made for every message: a frozen dataclass takes four times as long to make.
    """

    delivery_id: str
    deadline_s: float = math.inf

    @property
    def weight(self) -> int:
        """How many permits of a throttle it takes."""
        return 1


MessageT_contra = TypeVar("MessageT_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at a provider found: whether it would take messages, and what it offers or what is wrong, in words.

    The words are for whoever set it up. They hold no secret and no address of a recipient.
    """

    ok: bool
    detail: str


class CutOff(asyncio.CancelledError):
    """What a cancelled `send` raises: the outcomes so far, Ambiguous for what was being handed over, and None for what
    the provider certainly has not got.
    """

    def __init__(self, outcomes: Sequence[Outcome | None]) -> None:
        super().__init__()
        self.outcomes = outcomes


class Channel(Protocol[MessageT_contra]):
    """A way to hand messages over. Every channel passes the conformance suite in tests/channels."""

    async def send(self, messages: Sequence[MessageT_contra]) -> list[Outcome]:
        """Hand the messages over and report one outcome each, in order.

        Never raises for what a message, a provider or the network does: that is an outcome. Cancelled, it raises
        `CutOff` at once; nothing of the call is handed over after that. All waits are bounded.
        """
        ...

    async def check(self) -> Found:
        """Find out whether messages could be handed over now, as far as that goes without one. Never raises."""
        ...

    async def close(self) -> None:
        """Let go of kept connections; nothing is being sent when it is called."""
        ...


@runtime_checkable
class Listens(Protocol):
    """A channel whose connections also bring something, and so are kept whether or not anything is sent."""

    async def listen(self) -> None:
        """Connect now, and again whenever the connection is lost, until the channel is closed. Returns at once."""
        ...
