"""The server is killed with -9 again and again between accepting and answering; callers repeat their request ids."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from clarion_client import RetryConfig
from support.journey import CAMPAIGN, Journey
from support.processes import address_of

pytestmark = pytest.mark.journey

CALLERS, CALLS, KILLS = 8, 60, 4


async def test_every_request_id_is_one_trigger_however_often_the_server_dies(journey: Journey) -> None:
    server = await journey.server()
    address = address_of(server)
    await journey.campaign()
    await journey.worker()
    patient = await journey.client_of(server, RetryConfig(max_attempts=1_000, max_backoff_s=0.05))
    answered = 0
    progress = asyncio.Condition()

    async def call_on(caller: int) -> None:
        nonlocal answered
        for number in range(CALLS):
            await journey.trigger([f"user-{caller}-{number}@example.com"], patient, request_id=str(uuid.uuid4()))
            async with progress:
                answered += 1
                progress.notify_all()

    async def so_many_answers(count: int) -> None:
        async with progress:
            await progress.wait_for(lambda: answered >= count)

    calling = [asyncio.create_task(call_on(caller)) for caller in range(CALLERS)]
    for kill in range(1, KILLS + 1):
        await so_many_answers(CALLERS * CALLS * kill // (KILLS + 1))
        await server.kill()
        server = await journey.server(listen=address)
    assert not all(call.done() for call in calling)
    await asyncio.gather(*calling)
    assert journey.replayed, "no kill came between accepting and answering"
    await journey.finished()

    report = await journey.report()
    assert report.closes, report
    assert report.states == {"sent": CALLERS * CALLS}
    triggers = [trigger.name async for trigger in journey.client.list_triggers(CAMPAIGN, page_size=500)]
    assert sorted(triggers) == sorted(call.trigger for call in journey.acknowledged)
