"""The public door as its users start it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from support.journey import Journey
from support.processes import address_of
from support.scrape import scrape

pytestmark = pytest.mark.journey

EDGE = "clarion_edge"
FILE = """\
sources:
  - name: any
    http: {secret: {file: secret}, secret_header: X-Key, delivery: /id, status: /s, statuses: {D: delivered}}
"""
UNKNOWN = "00" + "1" * 19 + "-0"


def receipts(directory: Path) -> Path:
    (directory / "secret").write_text("canary-secret-4711")
    (directory / "receipts.yaml").write_text(FILE)
    return directory / "receipts.yaml"


async def test_it_serves_counts_and_drains_on_sigterm(journey: Journey, tmp_path: Path) -> None:
    edge = await journey.program(EDGE, edge_listen="127.0.0.1:0", receipts=receipts(tmp_path), metrics="127.0.0.1:0")
    serving = await edge.logged("serving")
    url = f"http://{address_of(edge)}/receipts/any"
    async with aiohttp.ClientSession() as http:
        body = json.dumps({"id": UNKNOWN, "s": "D", "to": "canary@example.com"})
        for key, status in (("canary-secret-4711", 200), ("wrong", 403)):
            async with http.post(url, data=body, headers={"X-Key": key}) as answer:
                assert answer.status == status
    found = await scrape(serving["metrics"])
    assert found.value("clarion_edge_requests_total", source="any", answer="told") == 1
    assert found.value("clarion_edge_requests_total", source="any", answer="forged") == 1
    assert found.value("clarion_edge_facts_total", source="any", kind="delivered", noted="gone") == 1
    assert await edge.terminate() == 0
    assert edge.logs("drained")
    assert edge.logs("receipt_forged", source="any")
    assert "canary" not in "\n".join(edge.lines)


async def test_a_source_that_does_not_fit_ends_it_with_a_line(journey: Journey, tmp_path: Path) -> None:
    file = receipts(tmp_path)
    (tmp_path / "secret").unlink()
    edge = await journey.program(EDGE, edge_listen="127.0.0.1:0", receipts=file)
    assert await edge.ended() == 2
    [line] = edge.lines
    assert "sources[0].http.secret.file" in line


async def test_a_port_that_is_taken_ends_it_with_a_line(journey: Journey) -> None:
    first = await journey.program(EDGE, edge_listen="127.0.0.1:0")
    await first.logged("serving")
    second = await journey.program(EDGE, edge_listen=address_of(first))
    assert await second.ended() == 2
    assert second.lines == [f"clarion-edge: CLARION_EDGE_LISTEN {address_of(first)} can't be bound; is it in use?"]


async def test_it_waits_for_the_store_at_start(journey: Journey) -> None:
    await journey.end_store()
    edge = await journey.program(EDGE, edge_listen="127.0.0.1:0")
    await edge.logged("store_away")
    await journey.start_store()
    await asyncio.wait_for(edge.logged("serving"), 30)
