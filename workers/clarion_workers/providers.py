"""Placeholder until the routing branch is merged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from clarion_core.domain.outcome import Outcome
from clarion_core.store.batches import Way
from clarion_workers.channels import Channel
from clarion_workers.channels.email import EmailMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    provider: str
    way: Way
    channel: Channel[EmailMessage]
    is_probe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRoute:
    wait_ms: int


class Router:
    def __init__(self, email: Channel[EmailMessage]) -> None:
        self._route = Route(provider="smtp", way=Way(provider="smtp"), channel=email)

    async def wait(self, drawn: float, draining: asyncio.Event) -> Way | None:
        return self._route.way

    async def choose(self, drawn: float, tried: frozenset[str]) -> Route | NoRoute:
        return NoRoute(wait_ms=0) if tried else self._route

    async def look(self, drawn: float, tried: frozenset[str]) -> Route | NoRoute | None:
        return None

    async def report(self, route: Route, outcomes: Sequence[Outcome]) -> None:
        return None

    async def close(self) -> None:
        await self._route.channel.close()
