"""People pause, resume and cancel while workers are killed and restarted: every account still closes."""

from __future__ import annotations

import random
import secrets
from contextlib import suppress

import pytest

from clarion.v1.campaign_pb2 import Campaign
from clarion_client import FailedPrecondition
from support.journey import CAMPAIGN, Journey
from support.processes import Process

pytestmark = pytest.mark.journey

TURNS, WINDOW = 10, 16
KINDS = [*["user"] * 20, "dot-slow", "rcpt-451-once", "dot-drop-once"]
POLICIES = [Campaign.AMBIGUITY_POLICY_AT_LEAST_ONCE, Campaign.AMBIGUITY_POLICY_AT_MOST_ONCE]


class Scene:
    """Two workers, and what may happen to them and to the campaign."""

    def __init__(self, journey: Journey, rng: random.Random) -> None:
        self._journey, self._rng = journey, rng
        self._workers: list[Process] = []

    async def start(self) -> None:
        await self._replace()
        await self._replace()

    async def kill(self) -> None:
        await self._one_of_them().kill()
        await self._replace()

    async def restart(self) -> None:
        worker = self._one_of_them()
        assert await worker.terminate() == 0, worker
        await self._replace()

    async def cancel(self) -> None:
        with suppress(FailedPrecondition):  # it was finished
            await self._journey.client.cancel_trigger(self._journey.acknowledged[-1].trigger)

    async def pause(self) -> None:
        await self._journey.client.pause_campaign(CAMPAIGN)
        await self._rng.choice([self.kill, self.restart, self.cancel])()
        await self._journey.client.resume_campaign(CAMPAIGN)

    async def _replace(self) -> None:
        self._workers.append(await self._journey.worker(lease_s=1, sweep_s=0.1, window=WINDOW))

    def _one_of_them(self) -> Process:
        return self._workers.pop(self._rng.randrange(len(self._workers)))


@pytest.mark.timeout(900)  # minutes on a machine that is busy with other things
async def test_whatever_is_done_to_a_campaign_its_accounts_close(journey: Journey) -> None:
    seed = secrets.randbelow(1_000_000)
    print(f"seed {seed}")  # noqa: T201
    rng = random.Random(seed)
    await journey.server()
    await journey.campaign(ambiguity_policy=rng.choice(POLICIES))
    scene = Scene(journey, rng)
    await scene.start()
    for turn in range(TURNS):
        taken = len(journey.sink.taken())
        for size in rng.choices([3, 100, 250, 700], k=2):
            await journey.trigger([f"{rng.choice(KINDS)}+{turn}-{size}-{index}@example.com" for index in range(size)])
        await journey.sink.wait_for(taken + 1)
        await rng.choice([scene.kill, scene.restart, scene.cancel, scene.pause])()
    if rng.random() < 0.5:
        await journey.client.stop_campaign(CAMPAIGN)
    await journey.finished()
    report = await journey.report()
    assert report.closes, report
