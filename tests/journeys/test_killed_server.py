"""The server is killed with -9 again and again between accepting and answering; callers repeat their request ids."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from clarion_client import RetryConfig
from support.journey import CAMPAIGN, Journey
from support.processes import address_of

pytestmark = pytest.mark.journey

CALLERS, KILLS, ANSWERS = 8, 4, 90  # answers between two kills


async def test_every_request_id_is_one_trigger_however_often_the_server_dies(journey: Journey) -> None:
    server = await journey.server()
    address = address_of(server)
    await journey.campaign()
    await journey.worker()
    patient = await journey.client_of(server, RetryConfig(max_attempts=1_000, max_backoff_s=0.05))
    answered = 0
    progress, enough = asyncio.Condition(), asyncio.Event()

    async def call_on(caller: int) -> None:
        nonlocal answered
        while not enough.is_set():
            await journey.trigger([f"user-{caller}@example.com"], patient, request_id=str(uuid.uuid4()))
            async with progress:
                answered += 1
                progress.notify_all()

    async def so_many_answers(count: int) -> None:
        async with progress:
            await progress.wait_for(lambda: answered >= count)

    calling = [asyncio.create_task(call_on(caller)) for caller in range(CALLERS)]
    kills = 0
    while kills < KILLS or not journey.replayed:  # until one came between accepting and answering
        await so_many_answers(answered + ANSWERS - kills)  # not in step with the callers, who are answered together
        await server.kill()
        server = await journey.server(listen=address)
        kills += 1
    enough.set()
    await asyncio.gather(*calling)
    await journey.finished()

    report = await journey.report()
    assert report.closes, report
    assert report.states == {"sent": answered}
    triggers = [trigger.name async for trigger in journey.client.list_triggers(CAMPAIGN, page_size=500)]
    assert sorted(triggers) == sorted(call.trigger for call in journey.acknowledged)
