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
LATE = "dot-slow+late@example.com"
ADDRESSES = [LATE if index == COUNT // 2 else f"user-{index}@example.com" for index in range(COUNT)]


async def _stand_still_while_another_takes_over(journey: Journey) -> None:
    """Stop a worker that has handed `LATE` over and not heard, let another finish what it can, and wake it."""
    late = await journey.worker(lease_s=1, sweep_s=0.1)
    await journey.trigger_all(ADDRESSES)
    await journey.sink.wait_for_recipient(LATE)
    late.signal(signal.SIGSTOP)
    await journey.worker(lease_s=1, sweep_s=0.1)
    await journey.finished()
    assert (await journey.report()).ambiguous >= 1  # it was at it when it was stopped
    late.signal(signal.SIGCONT)
    await late.logged("batch_lost")


async def test_at_most_once_the_late_worker_settles_only_what_was_ambiguous(journey: Journey) -> None:
    await journey.server()
    await journey.campaign(ambiguity_policy=Campaign.AMBIGUITY_POLICY_AT_MOST_ONCE)
    await _stand_still_while_another_takes_over(journey)

    report = await journey.report()
    assert report.closes, report
    assert report.states == {"sent": COUNT}, "it knew how every attempt ended"
    assert report.ambiguous == 0
    assert report.repeated == 0


async def test_at_least_once_the_late_worker_changes_nothing_that_was_sent_again(journey: Journey) -> None:
    await journey.server()
    await journey.campaign(ambiguity_policy=Campaign.AMBIGUITY_POLICY_AT_LEAST_ONCE)
    await _stand_still_while_another_takes_over(journey)

    report = await journey.report()
    assert report.closes, report
    assert report.states == {"sent": COUNT}
    assert report.repeated >= 1
    again = [each async for each in journey.client.list_deliveries(journey.acknowledged[1].trigger, page_size=100)]
    assert again[50].ambiguous_attempts == 1
    assert again[50].state == Delivery.STATE_SENT
    assert journey.sink.recipients()[LATE] == 2
