"""The server's metrics, as Prometheus reads them: what the store holds, and the calls of the process."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from clarion.v1 import campaign_service_pb2 as campaigns
from clarion.v1 import campaign_service_pb2_grpc
from clarion.v1 import worker_service_pb2 as pb
from clarion_core.domain.trigger import Counts
from clarion_core.store.connection import connect
from clarion_core.store.keys import key
from clarion_core.store.store import Store
from clarion_core.store.upkeep import Upkeep
from clarion_core.store.workers import WorkerStore
from clarion_server import metrics
from clarion_server.calls import Calls
from clarion_server.metrics import ServerMetrics
from clarion_stack.redis import RedisServer
from support.clarion import CAMPAIGN, Clarion, a_recipient
from support.records import Records
from support.refusal import refused
from support.scrape import Scraped, scrape
from support.smtp_sink import SmtpSink

WELCOME = {"workspace": "default", "campaign": "welcome"}
STATES = tuple(Counts.__dataclass_fields__)[1:]


@pytest.fixture
async def address(clarion: Clarion) -> str:
    """A server that exposes metrics, beside the one that calls go to."""
    return (await clarion.serve(metrics="127.0.0.1:0")).exposition.address


def account(found: Scraped, **campaign: str) -> dict[str, float]:
    """What is not zero of a campaign's deliveries."""
    values = {state: found.value("clarion_deliveries", **campaign, state=state) for state in STATES}
    return {state: value for state, value in values.items() if value}


async def test_every_delivery_of_a_campaign_is_told_by_its_state(clarion: Clarion, address: str) -> None:
    await clarion.live_campaign()
    first = await clarion.trigger(3)
    found = await scrape(address)
    assert account(found, **WELCOME) == {"in_flight": 3}
    refused_one = a_recipient(addresses={"email": "rcpt-550@example.com"})
    second = await clarion.trigger(recipients=[refused_one, *(a_recipient(index) for index in range(1, 4))])
    async with SmtpSink() as sink:
        await clarion.work(sink.port)
        for trigger in (first, second):
            await clarion.finished(trigger.name)
    found = await scrape(address)
    assert sum(account(found, **WELCOME).values()) == found.value("clarion_deliveries_accepted", **WELCOME) == 7
    assert account(found, **WELCOME) == {"sent": 6, "failed": 1}
    assert found.value("clarion_accounting_imbalance", **WELCOME) == 0
    assert found.value("clarion_campaigns_not_shown") == 0


async def test_an_account_that_does_not_add_up_is_seen(clarion: Clarion, address: str, store: Store) -> None:
    await clarion.live_campaign()
    await clarion.trigger(3)
    await store.command("HINCRBY", key(0, "counts", "default/welcome"), "fly", -2)
    assert (await scrape(address)).value("clarion_accounting_imbalance", **WELCOME) == 2


async def test_campaigns_of_all_workspaces_are_told_and_no_draft(clarion: Clarion, address: str) -> None:
    await clarion.live_campaign()
    await clarion.trigger()
    await clarion.live_campaign("never-triggered")
    found = await scrape(address)
    assert found.by("clarion_deliveries_accepted", "campaign") == {"welcome": 1}


async def test_lanes_and_workers_are_told(clarion: Clarion, address: str) -> None:
    await clarion.live_campaign()
    await clarion.trigger(250)
    await clarion.workers.PauseLane(pb.PauseLaneRequest(name="lanes/transactional"))
    async with SmtpSink() as sink:
        await clarion.work(sink.port)
        found = await scrape(address)
    assert found.by("clarion_workers", "state") == {"working": 1, "draining": 0, "silent": 0}
    assert found.by("clarion_lane_batches_waiting", "lane") == {"transactional": 3, "marketing": 0, "urgent": 0}
    assert found.by("clarion_lane_batches_due", "lane") == {"transactional": 3, "marketing": 0, "urgent": 0}
    assert found.by("clarion_lane_batches_in_hand", "lane") == {"transactional": 0, "marketing": 0, "urgent": 0}
    assert found.by("clarion_lane_paused", "lane") == {"transactional": 1, "marketing": 0, "urgent": 0}
    assert found.by("clarion_lane_oldest_due_seconds", "lane")["transactional"] > 0
    assert found.value("clarion_store_up") == 1


async def test_recounts_of_the_sweep_are_told(clarion: Clarion, address: str, store: Store) -> None:
    await Records(store).upkeep.note_recounts(20, 1)
    assert (await scrape(address)).by("clarion_recounts_total", "result") == {"right": 20, "wrong": 1}


async def test_calls_are_counted_by_how_they_ended(clarion: Clarion) -> None:
    server = await clarion.serve(metrics="127.0.0.1:0")
    channel = await clarion.channel(server)
    stub: Any = campaign_service_pb2_grpc.CampaignServiceStub(channel)
    for _ in range(2):
        await stub.ListCampaigns(campaigns.ListCampaignsRequest())
    await refused(stub.GetCampaign(campaigns.GetCampaignRequest(name=CAMPAIGN)))
    found = await scrape(server.exposition.address)
    while found.value("clarion_calls_total", method="GetCampaign", code="NOT_FOUND") is None:
        found = await scrape(server.exposition.address)  # a caller may have its answer before the call is noted
    assert found.value("clarion_calls_total", method="ListCampaigns", code="OK") == 2
    assert found.value("clarion_calls_total", method="GetCampaign", code="NOT_FOUND") == 1
    assert (found.value("clarion_call_seconds_total", method="ListCampaigns", code="OK") or 0) > 0


async def test_a_store_that_is_away_is_said_and_the_rest_is_told(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as own:
        async with Clarion(own.url) as clarion:
            server = await clarion.serve(metrics="127.0.0.1:0")
            await clarion.live_campaign()
            assert (await scrape(server.exposition.address)).value("clarion_store_up") == 1
            own.kill()
            found = await scrape(server.exposition.address)
            assert found.value("clarion_store_up") == 0
            assert found.value("clarion_build_info", version="0.1.0") == 1
            assert not any(name.startswith(("clarion_deliveries", "clarion_lane")) for name, _ in found.samples)
            own.start()
            assert (await scrape(server.exposition.address)).value("clarion_store_up") == 1


async def test_a_store_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "STORE_S", 0.05)
    with RedisServer(tmp_path / "redis") as own:
        store = Store(connect(own.url))
        exposed = ServerMetrics(
            store, WorkerStore(store, 1, ()), Upkeep(store, worker="", retention_s=86_400), Calls(), 1
        )
        assert own.pid
        os.kill(own.pid, signal.SIGSTOP)
        try:
            (up,) = [family.samples[0].value for family in await exposed.read() if family.name == "clarion_store_up"]
        finally:
            os.kill(own.pid, signal.SIGCONT)
        assert up == 0
        await store.close()


async def test_the_quietest_campaigns_are_left_out_where_there_are_too_many(
    clarion: Clarion, address: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "CAMPAIGNS_SHOWN", 3)
    held = {
        "done-small": (5, 0, 5),
        "done-large": (9, 0, 9),
        "busy": (2, 1, 1),
        "broken": (1, 0, 0),
        "least": (1, 0, 1),
    }
    for name, (accepted, flying, sent) in held.items():
        await store.command("SADD", key(0, "accounts"), f"default/{name}")
        await store.command("HSET", key(0, "counts", f"default/{name}"), "acc", accepted, "fly", flying, "S", sent)
    found = await scrape(address)
    assert set(found.by("clarion_accounting_imbalance", "campaign")) == {"broken", "busy", "done-large"}
    assert found.value("clarion_campaigns_not_shown") == 2


async def test_names_follow_the_conventions(clarion: Clarion, address: str) -> None:
    await clarion.live_campaign()
    await clarion.trigger()
    found = await scrape(address)
    ours = {name: kind for name, kind in found.types.items() if name.startswith("clarion_")}
    assert len(ours) > 10
    for name, kind in ours.items():
        assert re.fullmatch(r"clarion_[a-z]+(_[a-z]+)*", name)
        assert found.helps[name].endswith(".")
        samples = {sample for sample, _ in found.samples if sample.startswith(name)}
        assert samples or kind == "counter", f"{name} has no value"
        assert not name.endswith(("_count", "_sum", "_bucket", "_ms"))
