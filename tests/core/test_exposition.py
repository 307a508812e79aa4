"""The port where metrics are: HTTP as scrapers speak it, and nothing else."""

from __future__ import annotations

import asyncio
import urllib.error
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from clarion_core.exposition import Exposition, MetricsPortTaken, Read
from support.scrape import fetch, scrape


async def one() -> list[Metric]:
    return [GaugeMetricFamily("clarion_answer", "The answer.", 42)]


@asynccontextmanager
async def exposed(read: Read = one, address: str = "127.0.0.1:0") -> AsyncIterator[Exposition]:
    exposition = Exposition(address, read)
    await exposition.start()
    try:
        yield exposition
    finally:
        await exposition.stop()


async def test_what_is_read_is_told_with_what_the_process_uses() -> None:
    async with exposed() as exposition:
        found = await scrape(exposition.address)
    assert found.value("clarion_answer") == 42
    assert found.helps["clarion_answer"] == "The answer."
    assert (found.value("process_resident_memory_bytes") or 0) > 0


async def test_it_is_read_anew_every_time() -> None:
    asked = 0

    async def count() -> list[Metric]:
        nonlocal asked
        asked += 1
        return [GaugeMetricFamily("clarion_asked", "How often.", asked)]

    async with exposed(count) as exposition:
        assert [(await scrape(exposition.address)).value("clarion_asked") for _ in range(3)] == [1, 2, 3]


async def test_openmetrics_is_spoken_with_those_who_ask_for_it() -> None:
    async with exposed() as exposition:
        body, kind = await fetch(exposition.address, Accept="application/openmetrics-text; version=1.0.0")
        assert kind.startswith("application/openmetrics-text; version=1.0.0")
        assert "clarion_answer" in {family.name for family in text_string_to_metric_families(body)}
        _, kind = await fetch(exposition.address)
        assert kind.startswith("text/plain; version=0.0.4")


async def test_a_question_about_the_head_gets_no_body() -> None:
    async with exposed() as exposition:
        assert (await fetch(exposition.address, method="HEAD"))[0] == ""


@pytest.mark.parametrize(("path", "method", "code"), [("/", "GET", 404), ("/metrics", "POST", 405)])
async def test_anything_else_is_refused(path: str, method: str, code: int) -> None:
    async with exposed() as exposition:
        with pytest.raises(urllib.error.HTTPError) as refused:
            await fetch(exposition.address, path, method)
        refused.value.close()
        assert refused.value.code == code
        assert (await scrape(exposition.address)).value("clarion_answer") == 42


@pytest.mark.parametrize("words", [b"", b"\r\n\r\n", b"\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"x" * 200_000])
async def test_what_is_no_http_does_no_harm(words: bytes) -> None:
    async with exposed() as exposition:
        host, _, port = exposition.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(words)
        writer.write_eof()
        with suppress(ConnectionResetError):  # it was hung up on in the middle of a word
            assert b"200 OK" not in await reader.read()
        writer.close()
        assert (await scrape(exposition.address)).value("clarion_answer") == 42


async def test_a_defect_is_logged_and_kept_from_the_scraper() -> None:
    async def broken() -> list[Metric]:
        raise ValueError("canary4711")

    async with exposed(broken) as exposition:
        with capture_logs() as lines, pytest.raises(urllib.error.HTTPError) as refused:
            await fetch(exposition.address)
        assert refused.value.code == 500
        assert "canary4711" not in refused.value.read().decode()
        refused.value.close()
    assert [line["event"] for line in lines] == ["metrics_failed"]


@pytest.mark.parametrize("address", ["off", ""])
async def test_nothing_is_exposed_where_nobody_asked_for_it(address: str) -> None:
    async with exposed(address=address) as exposition:
        assert exposition.address == ""


async def test_a_port_in_use_is_said_in_words() -> None:
    async with exposed() as first:
        with pytest.raises(MetricsPortTaken) as taken:
            await Exposition(first.address, one).start()
    assert str(taken.value).startswith(f"CLARION_METRICS {first.address} can't be bound; is it in use?")


async def test_a_port_is_free_again_afterwards() -> None:
    async with exposed() as first:
        address = first.address
    async with exposed(address=address) as again:
        assert again.address == address


async def test_an_answer_under_way_does_not_hold_up_the_end() -> None:
    asked = asyncio.Event()

    async def forever() -> list[Metric]:
        asked.set()
        await asyncio.Event().wait()
        return []

    async with exposed(forever) as exposition:
        host, _, port = exposition.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        await asked.wait()
    assert await reader.read() == b""
    writer.close()


async def test_a_port_open_to_the_network_is_warned_of() -> None:
    with capture_logs() as lines:
        async with exposed(address="0.0.0.0:0"):
            pass
        async with exposed(address="[::1]:0") as near:
            assert (await scrape(near.address)).value("clarion_answer") == 42
    assert [line["event"] for line in lines] == ["metrics_open_to_the_network"]
