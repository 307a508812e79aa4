"""The disk under the store is full: it ends on the write that fails, is started again, and nothing is lost."""

from __future__ import annotations

import asyncio

import pytest

from clarion_client import RetryConfig, Unavailable, connect
from support.full_disk import FullDisk
from support.journey import CAMPAIGN, Journey

pytestmark = pytest.mark.journey

COUNT = 500
ONE = [{"user_id": "1", "addresses": {"email": "one@example.com"}}]


async def test_a_full_disk_under_the_stack_is_survived_and_callers_are_told_when_to_come_again(
    journey: Journey,
) -> None:
    stack = await journey.stack(smtp_timeout_s=5)
    address = (await stack.printed(r"gRPC +(\S+)"))[1]
    disk = FullDisk(stack.pid, journey.directory / "stack" / "redis")
    once = RetryConfig(max_attempts=1)
    patient = RetryConfig(max_attempts=1_000, max_backoff_s=0.5)
    async with connect(address, timeout_s=50, retry=patient) as journey.client, connect(address, retry=once) as client:
        await journey.campaign()
        await journey.trigger_all([f"before-{index}@example.com" for index in range(COUNT)])
        with disk.with_room_for(4_096):
            calling = asyncio.create_task(journey.trigger_all([f"user-{index}@example.com" for index in range(COUNT)]))
            await stack.printed(r"^redis .*ended with exit code 1; started again in 1 s")
            with pytest.raises(Unavailable) as refused:
                await client.create_trigger(CAMPAIGN, ONE)
            assert refused.value.reason == "STORE_UNAVAILABLE"
            assert refused.value.retry_after_s
            await stack.printed(r"^redis .*ended with exit code 1; started again in 2 s")
            assert not calling.done()
        await calling
        await journey.finished()

        report = await journey.report()
        assert report.closes, report
        assert report.states == {"sent": 2 * COUNT}
    said = (journey.directory / "stack" / "log" / "redis.log").read_text("utf-8")
    assert "AOF write error" in said
    assert await stack.terminate() == 0, stack
    assert any("every delivery in the store is accounted for" in line for line in stack.lines), stack
