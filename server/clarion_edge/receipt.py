"""What a source makes of a request: what it tells, or why it is not believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from clarion_core.domain.feedback import Fact
from clarion_core.domain.medium import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came. `url` is the public one, with the query; header names are in lower case.

    `key` is what stood in the path behind the source's name, or nothing.
    """

    method: str
    url: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A fact, and the delivery it is of, as far as the sender can be believed. `unsubscribed`: it says why."""

    delivery_id: str
    fact: Fact
    unsubscribed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Somebody wrote that they want no more, or, if not `stop`, that they want messages again; on which channel."""

    channel: Channel
    address: str
    stop: bool
    workspaces: tuple[str, ...]


Told = Sequence[Receipt | Answered]
"""What a request tells; nothing, where it is about something else."""


class Forged(Exception):
    """The request does not show that it comes from whom it says. The message is for our log."""


class Malformed(Exception):
    """The request is not of the form that this source has."""


class Source(Protocol):
    """Somebody who tells what became of messages."""

    async def read(self, request: Request) -> Told:
        """What a request tells. `Forged`, and nothing of it counts; `Malformed`."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
