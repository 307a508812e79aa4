"""Two providers, two workers: the first provider goes away and comes back, and everybody gets one message."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.journey import Journey
from support.processes import Process
from support.smtp_sink import SmtpSink

pytestmark = pytest.mark.journey

FILE = """\
email:
  routing: order
  providers:
    - {{name: primary, smtp: {{host: 127.0.0.1, port: {primary}, timeout_s: 5}}}}
    - {{name: backup, smtp: {{host: 127.0.0.1, port: {backup}, timeout_s: 5}}}}
"""


def addresses(first: int, count: int) -> list[str]:
    return [f"user-{number}@example.com" for number in range(first, first + count)]


async def one_logs(workers: Sequence[Process], event: str) -> None:
    """Wait until one of them has logged this of the primary."""
    waiting = [asyncio.create_task(worker.logged(event, provider="primary")) for worker in workers]
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    assert all(task.result() for task in done)


async def test_a_provider_that_goes_away_loses_nobody_and_gets_its_messages_back(
    journey: Journey, tmp_path: Path
) -> None:
    async with SmtpSink() as primary:
        file = tmp_path / "channels.yaml"
        file.write_text(FILE.format(primary=primary.port, backup=journey.sink.port))
        await journey.server()
        await journey.campaign()
        workers = [await journey.worker(channels=file) for _ in range(2)]
        await journey.trigger_all(addresses(0, 300))
        await primary.wait_for(300)
        assert journey.sink.taken() == []

        await journey.finished()
        primary.script("greeting", "421 4.3.2 going down")
        await primary.drop_all()
        await journey.trigger_all(addresses(300, 700))
        await journey.sink.wait_for(700)
        assert len(primary.messages) == 300
        await one_logs(workers, "breaker_opened")

        primary.heal()
        owed = 1000
        while len(primary.messages) < 310:
            await journey.trigger(addresses(owed, 1))
            owed += 1
            await journey.finished()
        await one_logs(workers, "breaker_closed")
        got = Counter(message.rcpt_to[0] for message in primary.messages) + journey.sink.recipients()
        assert got == Counter(addresses(0, owed))


async def test_a_file_that_does_not_fit_ends_the_worker_with_a_line_for_each_problem(
    journey: Journey, tmp_path: Path
) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text("email: {providers: [{name: one, smtp: {host: localhost}}, {name: two, smtp: {host: a, port: 0}}]}")
    process = await journey.program("clarion_workers", channels=file)
    assert await process.ended() == 2
    assert process.lines == [f"{file}: email.providers[1].smtp.port: must be a whole number from 1 to 65535"]


async def test_settings_that_the_file_replaces_are_warned_of(journey: Journey, tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text("email: {providers: [{name: one, smtp: {host: localhost}}]}")
    worker = await journey.worker(channels=file)  # which is told a port too
    warning = await worker.logged("setting_unused")
    assert (warning["name"], warning["because"]) == ("CLARION_SMTP_PORT", "CLARION_CHANNELS")
