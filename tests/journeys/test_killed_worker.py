"""A worker is killed with -9 while it hands over; another one goes on, and nobody is lost or silently doubled."""

from __future__ import annotations

import signal

import pytest

from clarion.v1.campaign_pb2 import Campaign
from clarion.v1.delivery_pb2 import Delivery
from support.journey import Journey

pytestmark = pytest.mark.journey

COUNT, MIDDLE, WINDOW = 2_000, 1_000, 64
# Taken by the sink and not answered the first time: whoever hands it over is certainly at it when it is killed.
HANGING = "dot-hang-once+middle@example.com"
ADDRESSES = [HANGING if index == MIDDLE else f"user-{index}@example.com" for index in range(COUNT)]


async def _until_the_middle(journey: Journey) -> None:
    await journey.sink.wait_for_recipient(HANGING)
    assert MIDDLE // 2 < len(journey.sink.taken()) < COUNT - MIDDLE // 2


async def test_at_least_once_a_restarted_worker_sends_again_what_was_in_flight(journey: Journey) -> None:
    await journey.server()
    await journey.campaign(ambiguity_policy=Campaign.AMBIGUITY_POLICY_AT_LEAST_ONCE)
    first = await journey.worker(lease_s=2, sweep_s=0.2, window=WINDOW)
    await journey.trigger_all(ADDRESSES[: MIDDLE + 100])  # so that nobody gets far beyond the middle
    await _until_the_middle(journey)
    await first.kill()
    await journey.trigger_all(ADDRESSES[MIDDLE + 100 :])
    await journey.worker(lease_s=2, sweep_s=0.2, window=WINDOW)
    await journey.finished()

    report = await journey.report()
    assert report.closes, report
    assert report.states == {"sent": COUNT}
    assert 1 <= report.ambiguous <= WINDOW, report
    assert journey.sink.recipients()[HANGING] == 2


async def test_at_most_once_what_was_in_flight_ends_ambiguous_and_another_worker_sends_the_rest(
    journey: Journey,
) -> None:
    await journey.server()
    await journey.campaign(ambiguity_policy=Campaign.AMBIGUITY_POLICY_AT_MOST_ONCE)
    first = await journey.worker(lease_s=2, sweep_s=0.2, window=WINDOW)
    names = await journey.trigger_all(ADDRESSES[: MIDDLE + 100])
    await _until_the_middle(journey)
    await journey.worker(lease_s=2, sweep_s=0.2, window=WINDOW)
    names += await journey.trigger_all(ADDRESSES[MIDDLE + 100 :])
    first.signal(signal.SIGKILL)
    assert await first.ended() == -signal.SIGKILL
    await journey.finished()

    report = await journey.report()
    assert report.closes, report
    assert report.states["sent"] + report.states["ambiguous"] == COUNT
    assert 1 <= report.states["ambiguous"] == report.ambiguous <= WINDOW, report
    assert not report.repeated
    unsure = journey.client.list_deliveries(names[MIDDLE // 100], states=[Delivery.STATE_AMBIGUOUS])
    assert f"user-{MIDDLE % 100}" in [delivery.user_id async for delivery in unsure]
