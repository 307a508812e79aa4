"""Rounds of kills at chosen points. A round arms a few, triggers until all were reached, and waits for the accounts.

From the first death on, single recipients are triggered in both lanes over and over: fresh work that the dead must not
hold up. Nothing else happens in a round, so that what it takes to take over is measured there.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator, Sequence

from faults.load import FRESH, QUICK, Load
from faults.plan import Plan
from faults.points import HOLDING, Moment, Point, Step
from faults.stand import AT_LEAST_ONCE, AT_MOST_ONCE, LONG, Stand

PATIENCE_S = 60.0  # far above what reaching a point takes
PAUSE_S = 0.2  # between two calls while points are armed, and between two fresh ones
BAIT_EVERY = 15  # calls
LANES = (AT_LEAST_ONCE, AT_MOST_ONCE)
STAGES = {Moment.ENVELOPE: "rcpt-hold", Moment.CONTENT: "content-hold", Moment.DOT: "dot-hold"}


class NotReached(Exception):
    """A point that nobody came to."""


def rounds(plan: Plan, rng: random.Random) -> Iterator[list[Point]]:
    """The plan's points in rounds, shuffled. A take-over goes with a death that leaves a batch behind."""
    points, take_overs = list(plan.points), list(plan.take_overs)
    rng.shuffle(points)
    while points:
        chosen, points = points[: plan.a_round], points[plan.a_round :]
        if take_overs and any(point.step in HOLDING for point in chosen):
            chosen.append(take_overs.pop())
        yield chosen
    for left in take_overs:
        yield [Point(Step.OPEN, Moment.AFTER), left]


async def run(stand: Stand, load: Load, plan: Plan, rng: random.Random) -> None:
    """All rounds, one after the other."""
    for number, points in enumerate(rounds(plan, rng), 1):
        stand.round = number
        await _round(stand, load, points)
    stand.round = 0


async def _round(stand: Stand, load: Load, points: Sequence[Point]) -> None:
    before = stand.journal.count
    stand.armory.arm(points)
    triggers: list[str] = []
    settled = asyncio.Event()
    fresh = asyncio.create_task(_fresh(stand, load, before, settled))
    try:
        await _until_struck(stand, load, points, triggers)
        await asyncio.gather(*map(stand.through, triggers))
        await stand.complete()
    finally:
        settled.set()
    await fresh


async def _until_struck(stand: Stand, load: Load, points: Sequence[Point], triggers: list[str]) -> None:
    """Trigger until every point was reached; bait that another death spoilt is laid out again."""

    async def trigger(addresses: list[str], campaign: str) -> None:
        triggers.append(await stand.trigger(addresses, campaign=campaign))

    try:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(trigger(load.drawn(100, QUICK), lane) for lane in LANES * 3))
            for turn in itertools.count():
                if turn % BAIT_EVERY == 0:
                    await asyncio.gather(*itertools.starmap(trigger, _bait(load, stand.armory.armed)))
                if not stand.armory.armed:
                    return
                await asyncio.sleep(PAUSE_S)
                if any(point.step is not Step.TAKE_OVER for point in stand.armory.armed):  # which only needs time
                    await trigger(load.drawn(100, QUICK), LANES[turn % 2])
    except TimeoutError:
        raise NotReached(f"nobody came to {stand.armory.armed}") from None


def _bait(load: Load, points: Sequence[Point]) -> Iterator[tuple[list[str], str]]:
    """What it takes for these points to be reached: who is to be held at a stage, or kept busy."""
    for point in points:
        if point.step is Step.HAND_OVER:
            stage = STAGES.get(point.moment, "dot-tell")
            held = load.one(f"{stage}-once", "kill-")
            if point.moment is Moment.CONTENT:
                yield [held], LONG
            else:
                yield [held, *load.drawn(99, {})], AT_LEAST_ONCE
        elif point.step is Step.RENEW:  # one that is not answered keeps the batch in hand
            yield [load.one("dot-hang-once"), *load.drawn(27, {})], AT_LEAST_ONCE
        elif point.step is Step.HAND_BACK:  # the first window takes long enough for a signal to arrive
            slow = [load.one("dot-slow") for _ in range(8)]
            yield [load.one("rcpt-tell-once", "drain-"), *slow, *load.drawn(91, {})], AT_MOST_ONCE


async def _fresh(stand: Stand, load: Load, before: int, settled: asyncio.Event) -> None:
    """Fresh work from the first death on."""
    for lane in itertools.cycle(LANES):
        if settled.is_set():
            return
        if stand.journal.count > before:
            await stand.trigger([load.one(FRESH)], campaign=lane)
        await asyncio.sleep(PAUSE_S)
