"""Thirty workers are killed with -9 at random while the mail server misbehaves in every way it can."""

from __future__ import annotations

import random
import secrets
from collections import Counter

import pytest

from clarion.v1.delivery_pb2 import Delivery
from support.journey import PER_CALL, Journey

pytestmark = pytest.mark.journey

KILLS, CALLS_A_KILL, WINDOW = 30, 2, 16
PLAIN = "user"
# What the sink does to how many of a hundred recipients; see support/smtp_sink.py.
SHARES = {
    "rcpt-451-once": 3,
    "data-451-once": 1,
    "dot-451-once": 2,
    "content-drop-once": 1,
    "dot-drop-once": 2,
    "dot-slow": 2,
    "rcpt-550": 2,
    "dot-550": 1,
}
REFUSED = ("rcpt-550", "dot-550")


def _addresses(rng: random.Random, call: int) -> list[str]:
    kinds = [*SHARES, PLAIN]
    weights = [*SHARES.values(), 100 - sum(SHARES.values())]
    drawn = rng.choices(kinds, weights, k=int(PER_CALL * 0.84))
    return [f"{kind}+{call}-{index}@example.com" for index, kind in enumerate(drawn)]


@pytest.mark.timeout(900)  # minutes on a machine that is busy with other things
async def test_thirty_random_kills_leave_every_account_closed(journey: Journey) -> None:
    seed = secrets.randbelow(1_000_000)
    print(f"seed {seed}")  # noqa: T201
    rng = random.Random(seed)
    await journey.server()
    await journey.campaign()
    settings = {"lease_s": 1, "sweep_s": 0.1, "window": WINDOW}
    workers = [await journey.worker(**settings) for _ in range(2)]
    for kill in range(KILLS):
        taken = len(journey.sink.taken())
        for call in range(CALLS_A_KILL):
            await journey.trigger(_addresses(rng, CALLS_A_KILL * kill + call))
        await journey.sink.wait_for(taken + rng.randint(1, 100))
        victim = workers.pop(rng.randrange(len(workers)))
        await victim.kill()
        workers.append(await journey.worker(**settings))
    await journey.finished()

    report = await journey.report()
    assert report.closes, report
    kinds = Counter(address.partition("+")[0] for call in journey.acknowledged for address in call.addresses.values())
    assert report.states.keys() == {"sent", "failed"}
    refused = sum(kinds[kind] for kind in REFUSED)
    assert report.states["failed"] == refused + await _poisoned(journey), report
    assert 1 <= report.ambiguous <= KILLS * WINDOW + kinds["dot-drop-once"], report


async def _poisoned(journey: Journey) -> int:
    """Deliveries given up because workers died over them alone, and that nobody would have refused."""
    found = 0
    for call in journey.acknowledged:
        failed = journey.client.list_deliveries(call.trigger, states=[Delivery.STATE_FAILED])
        found += sum(
            [
                delivery.reason == Delivery.REASON_POISON
                and call.addresses[delivery.user_id].partition("+")[0] not in REFUSED
                async for delivery in failed
            ]
        )
    return found
