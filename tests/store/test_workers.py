"""Workers, lanes, open batches and throttles in the store: what is written, what is read, and for how long."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from clarion_core.domain.campaign import Action
from clarion_core.domain.errors import (
    LaneNotFound,
    RequestIdReused,
    WorkerNotFound,
)
from clarion_core.domain.worker import (
    BatchState,
    Identity,
    Lane,
    Load,
    OpenBatch,
    Worker,
    WorkerState,
)
from clarion_core.store.campaigns import RequestKey
from clarion_core.store.keys import CONTROL, LIMITS, key
from clarion_core.store.workers import Place, WorkerStore
from support.records import LANE, NOT_HANDED_OVER, QUEUE, VIA, Records, deliver, retry_at, wanted

LANES = ("transactional", "marketing")
MILL = Identity(id="mill-7-0a1b2c", host="mill", pid=7, version="0.1.0", lanes=LANES)
LOAD = Load(deliveries=28, batches=3, rate_per_s=12.5)


@pytest.fixture
def workers(records: Records) -> WorkerStore:
    return WorkerStore(records.store, 1, LANES)


def a_request(body: str = "") -> RequestKey:
    return RequestKey(id=str(uuid.uuid4()), fingerprint=body)


async def beat(workers: WorkerStore, identity: Identity = MILL, *, draining: bool = False) -> bool:
    """Give a sign of life; whether the worker was told to drain."""
    return (await workers.heartbeat(identity, LOAD, start_ms=1_000, draining=draining)).drain


async def lane_of(workers: WorkerStore, lane: str = LANE) -> Lane:
    return next(each for each in await workers.lanes() if each.id == lane)


async def open_batches(workers: WorkerStore, at_once: int = 100) -> list[OpenBatch]:
    found: list[OpenBatch] = []
    place: Place | None = Place()
    while place:
        some, place = await workers.batches(place, at_once)
        found += some
    return found


async def states(workers: WorkerStore) -> list[BatchState]:
    return [batch.state for batch in await open_batches(workers)]


async def test_a_sign_of_life_says_who_a_worker_is_and_what_it_does(workers: WorkerStore) -> None:
    await beat(workers)
    ((worker,), last) = await workers.page("", 10)
    assert (worker.identity, worker.load, worker.start_ms, last) == (MILL, LOAD, 1_000, "")
    assert worker.state is WorkerState.WORKING
    assert worker.heartbeat_age_ms < LIMITS["WORKER_TTL_MS"]


async def test_a_worker_is_kept_for_half_a_minute_after_its_last_sign(records: Records, workers: WorkerStore) -> None:
    await beat(workers)
    ttl = await records.store.command("PTTL", key(CONTROL, "worker", MILL.id))
    assert 0 < ttl <= LIMITS["WORKER_TTL_MS"] == 30_000
    await records.store.command("DEL", key(CONTROL, "worker", MILL.id))
    assert await workers.page("", 10) == ([], ""), "the index alone makes no worker"
    await records.store.command("ZADD", key(CONTROL, "workers"), 1, MILL.id)
    await beat(workers, replace(MILL, id="other"))
    assert await records.store.command("ZRANGE", key(CONTROL, "workers"), 0, -1) == [b"other"]


def test_a_worker_without_a_sign_for_five_seconds_is_silent_whatever_it_did() -> None:
    for draining, state in ((False, WorkerState.WORKING), (True, WorkerState.DRAINING)):
        worker = Worker(identity=MILL, load=LOAD, start_ms=0, heartbeat_ms=1_000, draining=draining, now_ms=5_999)
        assert worker.state is state
        assert replace(worker, now_ms=6_000).state is WorkerState.SILENT
    assert replace(worker, now_ms=0).heartbeat_age_ms == 0


async def test_a_worker_that_ends_leaves_nothing_behind(records: Records, workers: WorkerStore) -> None:
    before = await records.keys()
    await beat(workers)
    await workers.drain(MILL.id, a_request())
    await workers.farewell(MILL.id)
    left = {name for name in await records.keys() if not name.startswith("{control}:rq:")}
    assert left == before.keys()


async def test_workers_are_paged_in_the_order_of_their_ids(workers: WorkerStore) -> None:
    for name in ("c", "a", "d", "b"):
        await beat(workers, replace(MILL, id=name))
    first, last = await workers.page("", 2)
    second, end = await workers.page(last, 2)
    assert [worker.identity.id for worker in first + second] == ["a", "b", "c", "d"]
    assert end == ""


async def test_a_worker_learns_with_its_next_sign_that_it_is_to_drain(workers: WorkerStore) -> None:
    assert not await beat(workers)
    assert not await workers.drain(MILL.id, a_request())
    told = await workers.worker(MILL.id)
    assert told
    assert told.state is WorkerState.DRAINING, "told to, even before it heard of it"
    assert await beat(workers)
    assert await beat(workers, draining=True), "an answer may get lost"
    assert not await beat(workers, replace(MILL, id="other"))


async def test_a_worker_that_the_store_forgot_meanwhile_is_still_told_to_drain(
    records: Records, workers: WorkerStore
) -> None:
    await beat(workers)
    await workers.drain(MILL.id, a_request())
    await records.store.command("DEL", key(CONTROL, "worker", MILL.id))
    assert await beat(workers)


async def test_nobody_can_drain_a_worker_that_there_is_not(workers: WorkerStore) -> None:
    with pytest.raises(WorkerNotFound, match="workers/nobody"):
        await workers.drain("nobody", a_request())


async def test_a_lane_is_paused_for_workers_that_come_later_too(workers: WorkerStore) -> None:
    lane, replayed = await workers.pause("marketing", a_request(), paused=True)
    assert (lane.paused, replayed) == (True, False)
    assert (await workers.heartbeat(MILL, LOAD, start_ms=1, draining=False)).paused == {"marketing"}
    assert [lane.paused for lane in await workers.lanes()] == [True, False]
    lane, _ = await workers.pause("marketing", a_request(), paused=False)
    assert not lane.paused
    assert (await workers.heartbeat(MILL, LOAD, start_ms=1, draining=False)).paused == frozenset()
    with pytest.raises(LaneNotFound, match="lanes/express"):
        await workers.pause("express", a_request(), paused=True)


async def test_a_repeated_request_does_nothing_again(workers: WorkerStore) -> None:
    request = a_request("pause")
    await workers.pause("marketing", request, paused=True)
    await workers.pause("marketing", a_request(), paused=False)
    lane, replayed = await workers.pause("marketing", request, paused=True)
    assert (lane.paused, replayed) == (False, True), "somebody resumed it since"
    with pytest.raises(RequestIdReused):
        await workers.drain(MILL.id, replace(request, fingerprint="drain"))


async def test_a_request_id_of_a_workspace_is_another_one(records: Records, workers: WorkerStore) -> None:
    request = a_request()
    await workers.pause("marketing", request, paused=True)
    assert not await records.store.call(
        "request_seen", CONTROL, b"", request=f"default:{request.id}", fingerprint=request.fingerprint
    )


async def test_an_empty_lane_is_all_zeros(workers: WorkerStore) -> None:
    assert await lane_of(workers) == Lane(id=LANE, paused=False, waiting=0, due=0, in_hand=0, oldest_due_age_ms=0)


async def test_a_lane_counts_what_is_due_in_hand_and_for_later(records: Records, workers: WorkerStore) -> None:
    await records.campaign()
    for _ in range(4):
        await records.trigger()
    now_ms = (await records.campaigns.read("default", "welcome")).now_ms
    worker = records.worker()
    await deliver(worker, await records.claim(worker), retry_at(now_ms + 60_000))
    await records.claim(worker)
    lane = await lane_of(workers)
    assert (lane.waiting, lane.due, lane.in_hand) == (3, 2, 1)
    assert await lane_of(workers, "marketing") == Lane(
        id="marketing", paused=False, waiting=0, due=0, in_hand=0, oldest_due_age_ms=0
    )


async def test_a_lane_tells_how_long_its_oldest_batch_could_have_been_taken(
    records: Records, workers: WorkerStore
) -> None:
    await records.campaign()
    await records.trigger()
    (ref,) = await records.jobs()
    fresh = await lane_of(workers)
    assert fresh.due == 1
    assert fresh.oldest_due_age_ms < LIMITS["CLOCKS_DIFFER_MS"], "it is queued early, and not older for that"
    job = f"{{0}}:{VIA}:{ref.id}:1"
    hour_ago = (await records.campaigns.read("default", "welcome")).now_ms - 3_600_000
    await records.store.command("ZADD", key(0, "queue", QUEUE), hour_ago - LIMITS["CLOCKS_DIFFER_MS"], job)
    record = (await records.job(job)).decode()
    await records.store.command("SET", f"arq:job:{job}", record.replace(record.split('"et":')[1], f"{hour_ago}}}"))
    assert 3_600_000 <= (await lane_of(workers)).oldest_due_age_ms < 3_660_000


async def test_a_dead_workers_batch_is_due_for_others(records: Records, workers: WorkerStore) -> None:
    await records.campaign()
    await records.trigger()
    claim = await records.claim()
    assert (await lane_of(workers)).in_hand == 1
    await records.lapse(claim.ref.id)
    await records.store.command("ZADD", key(0, "queue", QUEUE), 1, f"{{0}}:{VIA}:{claim.ref.id}:1")
    lane = await lane_of(workers)
    assert (lane.due, lane.in_hand) == (1, 0)


async def test_leases_are_found_among_many_that_wait_for_their_time(records: Records, workers: WorkerStore) -> None:
    await records.campaign()
    await records.trigger()
    await records.claim()
    now_ms = (await records.campaigns.read("default", "welcome")).now_ms
    soon = [part for at in range(1_200) for part in (now_ms + 60_000 + at, f"{{0}}:r:default/welcome:1:{at}:0:1")]
    await records.store.command("ZADD", key(0, "queue", QUEUE), *soon)
    lane = await lane_of(workers)
    await records.store.command("ZREM", key(0, "queue", QUEUE), *soon[1::2])
    assert (lane.waiting, lane.due, lane.in_hand) == (1_200, 0, 1)


async def test_open_batches_tell_whose_they_are(records: Records, workers: WorkerStore) -> None:
    await records.campaign()
    await records.trigger(3)
    (waiting,) = await open_batches(workers)
    assert (waiting.state, waiting.worker, waiting.lease_ms, waiting.deliveries) == (BatchState.WAITING, "", 0, 3)
    assert (waiting.campaign, waiting.lane, waiting.epoch, waiting.crashes) == ("default/welcome", LANE, 0, 0)
    assert waiting.queue_ms is not None
    claim = await records.claim(records.worker("mill-7-0a1b2c"))
    (claimed,) = await open_batches(workers)
    assert (claimed.state, claimed.worker, claimed.epoch) == (BatchState.CLAIMED, "mill-7-0a1b2c", 1)
    assert claimed.lease_ms > claimed.now_ms
    await deliver(records.worker("mill-7-0a1b2c"), claim)
    assert await open_batches(workers) == []


async def test_a_batch_handed_back_is_nobodys(records: Records, workers: WorkerStore) -> None:
    await records.campaign()
    await records.trigger()
    await deliver(records.worker(), await records.claim(), NOT_HANDED_OVER)
    (batch,) = await open_batches(workers)
    assert (batch.state, batch.worker) == (BatchState.WAITING, "")


async def test_batches_of_a_paused_campaign_are_parked(records: Records, workers: WorkerStore) -> None:
    await records.campaign()
    await records.trigger()
    await records.act(Action.PAUSE)
    await records.worker().claim((await records.jobs())[0], lane=LANE)
    assert await states(workers) == [BatchState.PARKED]
    assert (await lane_of(workers)).waiting == 0


async def test_a_batch_whose_job_got_lost_is_stuck_until_the_sweep_finds_it(
    records: Records, workers: WorkerStore
) -> None:
    await records.campaign()
    await records.trigger()
    (ref,) = await records.jobs()
    await records.store.command("DEL", f"arq:job:{{0}}:{VIA}:{ref.id}:1")
    assert await states(workers) == [BatchState.STUCK]
    await records.look_at(ref.id)
    await records.sweep()
    assert await states(workers) == [BatchState.WAITING]


async def test_a_lease_that_nobody_took_over_is_stuck(records: Records, workers: WorkerStore) -> None:
    await records.campaign()
    await records.trigger()
    claim = await records.claim()
    await records.lapse(claim.ref.id)
    assert await states(workers) == [BatchState.STUCK]
    ((_, done),) = await records.sweep()
    assert done in ("RECOVERED", "GRACE")


async def test_a_batch_that_workers_died_on_is_stuck_until_something_of_it_is_recorded(
    records: Records, workers: WorkerStore
) -> None:
    await records.campaign()
    await records.trigger(2)
    for _ in range(2):
        claim = await records.claim()
        await records.lapse(claim.ref.id)
        await records.store.command("DEL", key(0, "beat"))  # the store was not away
        assert [done for _, done in await records.sweep()] == ["RECOVERED"]
    (batch,) = await open_batches(workers)
    assert (batch.state, batch.crashes) == (BatchState.STUCK, 2)
    claim = await records.claim()
    assert await states(workers) == [BatchState.STUCK], "worked on one by one"
    await records.worker().advance(claim, [], wanted(claim, 0, 1), solo=True)
    await deliver(records.worker(), claim)
    assert await states(workers) == []


def test_a_lease_gets_ten_seconds_to_be_taken_over() -> None:
    batch = OpenBatch(
        shard=0, id="b", campaign="default/welcome", lane=LANE, epoch=1, worker="w", lease_ms=1_000, queue_ms=1_000,
        deliveries=1, crashes=0, parked=False, now_ms=10_999,
    )  # fmt: skip
    assert batch.state is BatchState.CLAIMED
    assert replace(batch, now_ms=11_000).state is BatchState.STUCK


@pytest.mark.parametrize("at_once", [1, 2, 3, 500])
async def test_open_batches_are_walked_through_completely_whatever_the_page(
    records: Records, workers: WorkerStore, at_once: int
) -> None:
    await records.campaign()
    await records.accept(*(records.item(request=f"r{at}") for at in range(7)))  # a page a flight: one look-time
    for _ in range(3):
        await records.trigger(250)
    ids = [batch.id for batch in await open_batches(workers, at_once)]
    assert sorted(ids) == sorted({ref.id for ref in await records.jobs()})
    assert len(ids) == len(set(ids))


async def test_batches_with_one_look_time_are_walked_through_too(records: Records, workers: WorkerStore) -> None:
    await records.campaign()
    for _ in range(9):
        await records.trigger()
    ids = sorted(ref.id for ref in await records.jobs())
    for batch in ids:
        await records.look_at(batch)
    assert [batch.id for batch in await open_batches(workers, 2)] == ids


async def test_shards_are_walked_through_one_after_the_other(records: Records) -> None:
    two = WorkerStore(records.store, 2, LANES)
    await records.campaign()
    await records.trigger()
    found, place = await two.batches(Place(), 10)
    assert [batch.shard for batch in found] == [0]
    assert place == Place(shard=1)
    assert await two.batches(place, 10) == ([], None)
    assert await two.batches(Place(shard=7), 10) == ([], None)
