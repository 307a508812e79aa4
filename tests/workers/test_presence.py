"""A worker shows itself, and follows what it is told."""

from __future__ import annotations

import asyncio
import re
import socket
import uuid
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from clarion_core.domain.errors import StoreUnavailable
from clarion_core.domain.medium import Medium
from clarion_core.domain.worker import Load, WorkerState
from clarion_core.queue import LaneWorker
from clarion_core.store.campaigns import RequestKey
from clarion_core.store.connection import connect
from clarion_core.store.store import Store
from clarion_core.store.workers import WorkerStore
from clarion_stack.redis import RedisServer
from clarion_workers import presence
from clarion_workers.lanes import Lanes
from clarion_workers.presence import Presence, identity_of_this_process
from support.records import until

LANES = ("transactional", "marketing")


class Bench:
    """A presence with lanes that nobody runs."""

    def __init__(self, store: Store) -> None:
        self.workers = WorkerStore(store, 1, LANES)
        self.identity = identity_of_this_process(LANES)
        self.told_to_end, self.draining = asyncio.Event(), asyncio.Event()
        self.lanes = Lanes(_nobody, lanes=LANES, shards=1)
        self.load = Load(deliveries=5, batches=1, rate_per_s=2.0)
        self.presence = Presence(
            self.workers,
            self.identity,
            load=lambda: self.load,
            lanes=self.lanes,
            told_to_end=self.told_to_end,
            draining=self.draining,
        )

    @property
    def paused(self) -> set[str]:
        return set(self.lanes.paused)


def _nobody(_shard: int, _lane: str, _medium: Medium) -> LaneWorker:
    raise AssertionError("nothing is served here")


@pytest.fixture
async def bench(store: Store) -> Bench:
    return Bench(store)


def a_request() -> RequestKey:
    return RequestKey(id=str(uuid.uuid4()), fingerprint="")


async def test_a_sign_of_life_tells_the_load_of_the_moment(bench: Bench) -> None:
    await bench.presence.beat()
    bench.load = Load(deliveries=9)
    await bench.presence.beat()
    worker = await bench.workers.worker(bench.identity.id)
    assert worker
    assert (worker.load, worker.state) == (Load(deliveries=9), WorkerState.WORKING)
    bench.draining.set()
    await bench.presence.beat()
    worker = await bench.workers.worker(bench.identity.id)
    assert worker
    assert worker.state is WorkerState.DRAINING


async def test_lanes_are_left_alone_and_taken_up_again_as_told(bench: Bench) -> None:
    with capture_logs() as lines:
        for told, paused in ((None, set[str]()), (True, {"marketing"}), (True, {"marketing"}), (False, set[str]())):
            if told is not None:
                await bench.workers.pause("marketing", a_request(), paused=told)
            await bench.presence.beat()
            assert bench.paused == paused
    assert [line["event"] for line in lines] == ["lane_paused", "lane_resumed"]


async def test_a_worker_told_to_drain_says_so_once_and_ends(bench: Bench) -> None:
    await bench.presence.beat()
    assert not bench.told_to_end.is_set()
    await bench.workers.drain(bench.identity.id, a_request())
    with capture_logs() as lines:
        await bench.presence.beat()
        await bench.presence.beat()
    assert bench.told_to_end.is_set()
    assert [line["event"] for line in lines] == ["told_to_drain"]


async def test_a_worker_says_goodbye_if_it_ever_came(bench: Bench) -> None:
    await bench.workers.heartbeat(bench.identity, bench.load, start_ms=1, draining=False)
    await bench.presence.leave()
    assert await _is_there(bench), "it was not this presence that came"
    await bench.presence.beat()
    assert await _is_there(bench)
    await bench.presence.leave()
    assert not await _is_there(bench)


async def _is_there(bench: Bench) -> bool:
    return await bench.workers.worker(bench.identity.id) is not None


async def test_what_was_told_last_holds_while_the_store_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "BEAT_S", 0.001)
    with RedisServer(tmp_path / "redis") as own:
        store = Store(connect(own.url))
        bench = Bench(store)
        await bench.workers.pause("marketing", a_request(), paused=True)
        await bench.presence.beat()
        own.kill()
        with capture_logs() as lines:
            keeping = asyncio.create_task(bench.presence.keep())
            await until(lambda: _holds(bool(lines)))
            with pytest.raises(StoreUnavailable):
                await bench.presence.beat()
            assert bench.paused == {"marketing"}
            own.start()
            await until(lambda: _came_back(bench))
            await bench.workers.pause("marketing", a_request(), paused=False)
            await until(lambda: _holds(not bench.paused))
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        assert [line["event"] for line in lines] == ["heartbeat_failed", "lane_resumed"], "said once"
        own.kill()
        with capture_logs() as lines:
            await bench.presence.leave()
        assert [line["event"] for line in lines] == ["farewell_failed"]
        await store.close()


async def _holds(fact: bool) -> bool:
    return fact


async def _came_back(bench: Bench) -> bool:
    try:
        worker = await bench.workers.worker(bench.identity.id)
    except StoreUnavailable:
        return False
    return worker is not None and worker.state is WorkerState.WORKING


@pytest.mark.parametrize(
    ("host", "begins"),
    [
        ("mill", "mill-"),
        ("mill_1.example.com", "mill-1.example.com-"),
        ("Mühle", "M-hle-"),
        ("__", "host-"),
        ("", "host-"),
    ],
)
def test_an_id_can_be_part_of_a_name_whatever_the_host_is_called(
    monkeypatch: pytest.MonkeyPatch, host: str, begins: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    one, other = (identity_of_this_process(LANES) for _ in range(2))
    assert one.id.startswith(begins)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", one.id)
    assert one.id != other.id
    assert one.host == host
