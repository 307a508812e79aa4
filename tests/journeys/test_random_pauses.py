"""Fifty times a campaign or a trigger is paused and resumed, or a worker killed: who is owed a message gets it."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from contextlib import suppress

import pytest

from clarion.v1.delivery_pb2 import Delivery
from clarion_client import FailedPrecondition
from support.journey import CAMPAIGN, Journey
from support.processes import Process

pytestmark = pytest.mark.journey

RECIPIENTS, TURNS, WINDOW = 20_000, 50, 16
A_TURN = RECIPIENTS * 9 // 10 // TURNS  # messages: the last turn still finds work


class Scene:
    """Two workers, and what is done to them and to the campaign."""

    def __init__(self, journey: Journey, rng: random.Random) -> None:
        self._journey, self._rng = journey, rng
        self._workers: list[Process] = []

    async def start(self) -> None:
        for _ in range(2):
            self._workers.append(await self._worker())

    async def pause_campaign(self) -> None:
        await self._journey.client.pause_campaign(CAMPAIGN)
        await self._meanwhile()
        await self._journey.client.resume_campaign(CAMPAIGN)

    async def pause_triggers(self) -> None:
        paused = []
        for call in self._rng.sample(self._journey.acknowledged, 20):
            with suppress(FailedPrecondition):  # it was finished
                await self._journey.client.pause_trigger(call.trigger)
                paused.append(call.trigger)
        await self._meanwhile()
        for name in paused:
            with suppress(FailedPrecondition):  # all of it was in flight when it was paused
                await self._journey.client.resume_trigger(name)

    async def kill(self) -> None:
        await self._workers.pop(self._rng.randrange(len(self._workers))).kill()
        self._workers.append(await self._worker())

    async def _meanwhile(self) -> None:
        if self._rng.random() < 0.3:
            await self.kill()

    async def _worker(self) -> Process:
        return await self._journey.worker(lease_s=1, sweep_s=0.1, window=WINDOW)


@pytest.mark.timeout(900)  # minutes on a machine that is busy with other things
async def test_what_arrives_is_what_is_owed(journey: Journey) -> None:
    seed = secrets.randbelow(1_000_000)
    print(f"seed {seed}")  # noqa: T201
    rng = random.Random(seed)
    await journey.server()
    await journey.campaign()
    audience = [f"user+{index}@example.com" for index in range(RECIPIENTS)]
    await journey.trigger_all(audience)
    scene = Scene(journey, rng)
    await scene.start()
    for turn in range(TURNS):
        await journey.sink.wait_for(turn * A_TURN)
        await rng.choices([scene.pause_campaign, scene.pause_triggers, scene.kill], [2, 2, 1])[0]()
    await journey.finished()

    report = await journey.report()
    assert report.closes, report  # a second copy is one that the ledger knows of
    poisoned = await poisoned_addresses(journey)
    arrived = journey.sink.recipients()
    assert set(audience) - arrived.keys() <= poisoned
    assert (arrived - Counter(audience)).total() == report.repeated <= report.ambiguous
    assert 1 <= report.ambiguous <= TURNS * WINDOW, report


async def poisoned_addresses(journey: Journey) -> set[str]:
    """Those who were alone in hand when workers died: twice, and they are given up."""
    found: set[str] = set()
    for name, deliveries in (await journey.ledger()).deliveries.items():
        addresses = next(call.addresses for call in journey.acknowledged if call.trigger == name)
        for delivery in deliveries:
            if delivery.reason == Delivery.REASON_POISON:
                found.add(addresses[delivery.user_id])
    return found
