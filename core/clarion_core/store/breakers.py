"""Circuit breakers in the store: shared by all workers, one round trip a question or report."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from clarion_core.domain.breaker import NOTHING, BreakerPolicy, BreakerState, Probe, Standing, Verdict
from clarion_core.store.keys import CONTROL
from clarion_core.store.store import Store


class Breakers:
    """The breakers of one channel's providers. A provider is known by its name, whichever worker names it."""

    def __init__(self, store: Store, *, channel: str, policy: BreakerPolicy | None = None) -> None:
        self._store, self._channel = store, channel
        self._policy = asdict(policy or BreakerPolicy())

    async def ask(self, providers: Sequence[str], untold: Mapping[str, Verdict] | None = None) -> dict[str, Standing]:
        """Where these providers stand, for somebody who has messages for them. `untold` is reported on the way.

        Where a pause is over, the right to probe may be granted: to one asker over all workers at a time, for
        one of the providers, the first in order. Whoever got it reports the probe, or loses it after a while.
        """
        # The asker is named before the first try: the client library may repeat a call whose answer got lost.
        return await self._call(providers, untold or {}, asker=secrets.token_hex(8))

    async def report(self, provider: str, verdict: Verdict, probe: Probe | None = None) -> Standing:
        """Report how hand-overs to a provider went, or how its probe did; where it stands after it.

        A probe is reported whatever it told, also nothing: then the next message probes. A call that the client
        library repeats counts twice, which the figures can bear.
        """
        return (await self._call([provider], {provider: verdict}, probe=probe))[provider]

    async def look(self, providers: Sequence[str]) -> dict[str, Standing]:
        """Where these providers stand, for somebody who only wants to know."""
        return await self._call(providers, {})

    async def _call(
        self, providers: Sequence[str], verdicts: Mapping[str, Verdict], *, asker: str = "", probe: Probe | None = None
    ) -> dict[str, Standing]:
        now_ms, *rows = await self._store.call(
            "breakers",
            CONTROL,
            channel=self._channel,
            policy=self._policy,
            asker=asker,
            providers=[
                {
                    "name": name,
                    **asdict(verdicts.get(name, NOTHING)),
                    "probe": probe.id if probe else "",
                    "opening": probe.opening if probe else 0,
                }
                for name in providers
            ],
        )
        return {name: _standing(row, now_ms, asker) for name, row in zip(providers, rows, strict=True)}


def _standing(row: Sequence[bytes | int], now_ms: int, asker: str) -> Standing:
    state, until_ms, opening, granted, health, moved = row
    assert isinstance(state, bytes)
    return Standing(
        state=BreakerState(state.decode()),
        until_ms=int(until_ms),
        wait_ms=max(0, int(until_ms) - now_ms),
        health=float(health),
        probe=Probe(id=asker, opening=int(opening)) if granted else None,
        moved=bool(moved),
    )
