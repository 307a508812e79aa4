"""A worker stands still while it hands over (a machine that swaps, a debugger), and wakes up when all is done."""

from __future__ import annotations

import signal

import pytest

from clarion.v1.campaign_pb2 import Campaign
from clarion.v1.delivery_pb2 import Delivery
from support.journey import Journey

pytestmark = pytest.mark.journey

COUNT = 300
# Taken, and answered late: the answer comes while its worker stands still.
LATE, AT = "dot-slow+late@example.com", COUNT // 2
ADDRESSES = [LATE if index == AT else f"user-{index}@example.com" for index in range(COUNT)]


async def _deliveries(journey: Journey) -> list[Delivery]:
    ledger = await journey.ledger()
    return [delivery for call in journey.acknowledged for delivery in ledger.deliveries[call.trigger]]


async def _stand_still_while_another_takes_over(journey: Journey) -> list[Delivery]:
    """Stop a worker that has handed `LATE` over and not heard, let another end everything, and let the first go on.

    The deliveries as they were when it woke up.
    """
    late = await journey.worker(lease_s=2, sweep_s=0.1)
    await journey.trigger_all(ADDRESSES)
    await journey.sink.wait_for_recipient(LATE)
    late.signal(signal.SIGSTOP)
    await journey.worker(lease_s=2, sweep_s=0.1)
    await journey.finished()
    before = await _deliveries(journey)
    assert before[AT].ambiguous_attempts == 1, "it was not at it when it was stopped"
    late.signal(signal.SIGCONT)
    assert await late.terminate() == 0, late  # whatever it had in hand is through
    assert late.logs("batch_lost")
    return before


async def test_at_most_once_the_late_worker_settles_only_what_was_ambiguous(journey: Journey) -> None:
    await journey.server()
    await journey.campaign(ambiguity_policy=Campaign.AMBIGUITY_POLICY_AT_MOST_ONCE)
    before = await _stand_still_while_another_takes_over(journey)

    after = await _deliveries(journey)
    for was, is_now in zip(before, after, strict=True):
        assert was == is_now or (was.state, is_now.state) == (Delivery.STATE_AMBIGUOUS, Delivery.STATE_SENT)
    assert before[AT].state == Delivery.STATE_AMBIGUOUS
    assert after[AT].state == Delivery.STATE_SENT
    report = await journey.report()
    assert report.closes, report
    assert report.repeated == 0


async def test_at_least_once_the_late_worker_changes_nothing_that_was_sent_again(journey: Journey) -> None:
    await journey.server()
    await journey.campaign(ambiguity_policy=Campaign.AMBIGUITY_POLICY_AT_LEAST_ONCE)
    before = await _stand_still_while_another_takes_over(journey)

    assert await _deliveries(journey) == before
    report = await journey.report()
    assert report.closes, report
    assert report.states == {"sent": COUNT}
    assert journey.sink.recipients()[LATE] == 2
