"""What is triggered: recipients whose addresses tell the sink how to treat them, see `support.smtp_sink`."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Mapping, Sequence

from faults.plan import Plan
from faults.stand import AT_LEAST_ONCE, AT_MOST_ONCE, Stand

PLAIN, FRESH = "user", "fresh"
# Of 10,000 recipients. What is refused for good fails; everything else is sent, sooner or later.
MIXED: Mapping[str, int] = {
    "rcpt-451-once": 60,
    "data-451-once": 20,
    "dot-451-once": 40,
    "rcpt-421-once": 10,
    "dot-421-once": 10,
    "data-drop-once": 10,
    "content-drop-once": 10,
    "dot-drop-once": 20,
    "data-hang-once": 2,
    "content-hang-once": 2,
    "dot-hang-once": 2,
    "dot-slow": 20,
    "rcpt-550": 50,
    "dot-550": 20,
}
# In rounds that are measured nothing may be slow by itself.
QUICK: Mapping[str, int] = {"rcpt-451-once": 150, "dot-451-once": 100, "rcpt-550": 50}
LOOK_S = 0.1


class Load:
    """Draws recipients and sizes; every address is used once."""

    def __init__(self, rng: random.Random, sizes: Sequence[int]) -> None:
        self._rng, self._sizes = rng, sizes
        self._numbers = itertools.count()

    def one(self, kind: str, purpose: str = "") -> str:
        """An address of this kind."""
        return f"{kind}+{purpose}{next(self._numbers)}@example.com"

    def drawn(self, count: int, shares: Mapping[str, int]) -> list[str]:
        """Addresses of these kinds, and otherwise plain ones."""
        kinds, weights = [*shares, PLAIN], [*shares.values(), 10_000 - sum(shares.values())]
        return [self.one(kind) for kind in self._rng.choices(kinds, weights, k=count)]

    def size(self) -> int:
        """Recipients of a call."""
        return self._rng.choice(self._sizes)

    def campaign(self) -> str:
        """One of the two policies, each in a lane of its own."""
        return self._rng.choice((AT_LEAST_ONCE, AT_MOST_ONCE))


async def pour(stand: Stand, load: Load, plan: Plan, enough: asyncio.Event) -> None:
    """Trigger until there is enough, never with much more in flight than planned."""

    async def call_on() -> None:
        while not enough.is_set():
            while await stand.in_flight() > plan.most_in_flight:  # noqa: ASYNC110 - asked of another process
                await asyncio.sleep(LOOK_S)
            await stand.trigger(load.drawn(load.size(), MIXED), campaign=load.campaign())

    async with asyncio.TaskGroup() as callers:
        for _ in range(plan.callers):
            callers.create_task(call_on())
