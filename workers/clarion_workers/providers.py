"""The providers of a channel as one: which of them gets a message, what is learnt from it, and who has it next.

A breaker is asked before an attempt is spent. Whatever a provider certainly has not got, by its own fault, another one
gets at once; what may have arrived is never given to another one.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clarion_core import logs
from clarion_core.domain.breaker import NOTHING, BreakerState, Probe, Standing, Verdict, verdict
from clarion_core.domain.campaign import Throttle
from clarion_core.domain.channel import ChannelConfiguration, Provider
from clarion_core.domain.errors import StoreUnavailable
from clarion_core.domain.outcome import Outcome
from clarion_core.domain.routing import pick
from clarion_core.domain.worker import Subject, ThrottleKind
from clarion_core.store.batches import Way
from clarion_core.store.breakers import Breakers
from clarion_workers.channels import Channel, CutOff, Listens, Message

KNOWN_S = 0.5  # what was asked holds for so long: other workers' failures are heard of that late at most

_USED = Standing(state=BreakerState.CLOSED)

log = logs.get(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The provider to use now. With a probe, for one message."""

    provider: Provider
    probe: Probe | None = None

    def takes(self, count: int) -> int:
        """How many of so many messages may go this way."""
        return min(count, 1) if self.probe else count


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRoute:
    """No provider may be used before `until_ms`, by the store's clock, `wait_s` from now.

    `until_ms` is 0 where there is none left to ask: all were tried.
    """

    until_ms: int = 0
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A standing, and until when it is believed, by this process's clock."""

    standing: Standing
    good_until: float


class Router:
    """Routes the messages of one channel. `channels` has one for each provider, by its name.

    `draw` returns an even random number in [0, 1).
    """

    def __init__(
        self,
        configuration: ChannelConfiguration,
        channels: Mapping[str, Channel[Any]],
        breakers: Breakers,
        *,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.configuration = configuration
        self._channels, self._breakers, self._draw = channels, breakers, draw
        self._known: dict[str, _Known] = {}
        self._untold: dict[str, Verdict] = {}  # told with the next question: nothing hangs on it

    @property
    def channels(self) -> Mapping[str, Channel[Any]]:
        """The channel to each provider, by its name."""
        return self._channels

    async def choose(self, tried: frozenset[str] = frozenset()) -> Route | NoRoute:
        """The provider for the next messages, but for those that were tried; or until when there is none.

        A provider whose pause is over is probed before others are used. Whoever gets a route with a probe hands one
        message over, or reports that it did not (`report` without outcomes). Asks the store once in half a second;
        while that is away, what was known holds.
        """
        untried = [provider for provider in self.configuration.providers if provider.name not in tried]
        if not untried:
            return NoRoute()
        standings = await self._standings([provider.name for provider in untried])
        for provider in untried:
            if probe := standings[provider.name].probe:
                return Route(provider=provider, probe=probe)
        picked = pick(self.configuration.routing, untried, standings, self._draw())
        if picked:
            return Route(provider=picked)
        first = min(untried, key=lambda provider: standings[provider.name].until_ms).name
        wait_s = max(0.0, self._known[first].good_until - time.monotonic())
        return NoRoute(until_ms=standings[first].until_ms, wait_s=wait_s)

    def way(self, route: Route) -> Way:
        """The route as the store knows it: the provider, and the limits on it besides the campaign's own.

        A configuration of the store is under the limit of its channel, too, where an operator set one.
        """
        own, provider = self.configuration, route.provider
        workspace, _, configuration = own.scope.partition("/")
        channel = Subject(kind=ThrottleKind.CHANNEL, id=own.channel)
        whole = channel
        if own.scope:
            whole = Subject(kind=ThrottleKind.CONFIGURATION, id=configuration, workspace=workspace)
        alone = Subject(kind=ThrottleKind.PROVIDER, id=provider.name, within=whole.id, workspace=workspace)
        limits = {channel: None, whole: own.throttle, alone: provider.throttle}
        return Way(
            provider=provider.name,
            limits=tuple((subject.limit, throttle or Throttle()) for subject, throttle in limits.items()),
        )

    async def hand_over(self, route: Route, messages: Sequence[Message]) -> list[Outcome]:
        """Hand the messages over to the route's provider, and report how it did; one outcome each, in order.

        Cancelled, it reports nothing: that was not the provider's doing.
        """
        outcomes = await self._channels[route.provider.name].send(messages)
        try:
            await self.report(route, outcomes)
        except asyncio.CancelledError:
            raise CutOff(outcomes) from None  # what became of the messages is known, and must not get lost
        return outcomes

    async def report(self, route: Route, outcomes: Sequence[Outcome]) -> None:
        """Tell all workers what these outcomes say of the route's provider; those of a probe, whatever they say.

        One round trip where something failed, none where all went well. While the store is away it is told later.
        """
        name, told = route.provider.name, sum(map(verdict, outcomes), NOTHING)
        if route.probe is None:
            self._untold[name] = told = self._untold.get(name, NOTHING) + told
            if not told.badly:
                return
            del self._untold[name]
        try:
            self._learn(name, await self._breakers.report(name, told, route.probe))
        except StoreUnavailable:
            log.warning("breaker_not_told", channel=self.configuration.channel, provider=name)
            if route.probe is None:
                self._untold[name] = self._untold.get(name, NOTHING) + told

    async def listen(self) -> None:
        """Have the channels that can bring something connect, and stay connected."""
        for channel in self._channels.values():
            if isinstance(channel, Listens):
                await channel.listen()

    async def close(self) -> None:
        """Close the channels of all providers."""
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))

    async def _standings(self, names: Sequence[str]) -> dict[str, Standing]:
        """Where these providers stand, as is known, or asked for where it is not known well enough."""
        known = {name: self._known[name] for name in names if name in self._known}
        now = time.monotonic()
        if len(known) == len(names) and all(each.good_until > now for each in known.values()):
            return {name: each.standing for name, each in known.items()}
        untold = {name: self._untold.pop(name) for name in names if name in self._untold}
        try:
            standings = await self._breakers.ask(names, untold)
        except StoreUnavailable:
            log.warning("breakers_not_asked", channel=self.configuration.channel)
            for name, each in untold.items():
                self._untold[name] = self._untold.get(name, NOTHING) + each
            standings = {name: known[name].standing if name in known else _USED for name in names}
        for name, standing in standings.items():
            self._learn(name, standing)
        return standings

    def _learn(self, name: str, standing: Standing) -> None:
        good_s = KNOWN_S if standing.state is BreakerState.CLOSED else standing.wait_ms / 1000
        self._known[name] = _Known(
            standing=replace(standing, probe=None, moved=False), good_until=time.monotonic() + good_s
        )
        if not standing.moved:
            return
        if standing.state is BreakerState.OPEN:
            log.warning("breaker_opened", **self._figures(name, standing), pause_s=standing.wait_ms / 1000)
        else:
            log.info("breaker_closed", **self._figures(name, standing))

    def _figures(self, name: str, standing: Standing) -> dict[str, object]:
        return {"channel": self.configuration.channel, "provider": name, "health": round(standing.health, 2)}
