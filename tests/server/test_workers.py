"""WorkerService as whoever looks after Clarion calls it."""

from __future__ import annotations

import uuid
from collections.abc import MutableMapping, Sequence
from typing import Any

import pytest
from grpc import StatusCode
from structlog.testing import capture_logs

from clarion.v1 import campaign_service_pb2 as campaigns
from clarion.v1 import worker_service_pb2 as pb
from clarion.v1.worker_pb2 import Batch, Lane, Throttle, Worker
from clarion_core.domain.worker import Identity, Load
from clarion_core.store.keys import key
from clarion_core.store.store import Store
from clarion_core.store.workers import WorkerStore
from support.clarion import CAMPAIGN, Clarion
from support.configurations import Keeping, smtp
from support.records import VIA, until
from support.refusal import refused
from support.smtp_sink import SmtpSink

LANES = ("transactional", "marketing")
NOBODY = "workers/nobody-1-0a1b2c"


async def sign_of_life(store: Store, worker_id: str = "mill-7-0a1b2c") -> None:
    """As a worker gives it."""
    identity = Identity(id=worker_id, host="Mühle", pid=7, version="0.1.0", lanes=LANES)
    load = Load(deliveries=28, batches=3, rate_per_s=12.5)
    await WorkerStore(store, 1, LANES).heartbeat(identity, load, start_ms=1_700_000_000_000, draining=False)


async def workers_of(clarion: Clarion) -> list[Worker]:
    return list((await clarion.workers.ListWorkers(pb.ListWorkersRequest())).workers)


async def lanes_of(clarion: Clarion) -> dict[str, Lane]:
    return {lane.name: lane for lane in (await clarion.workers.ListLanes(pb.ListLanesRequest())).lanes}


async def batches_of(clarion: Clarion, **fields: Any) -> list[Batch]:
    return list((await clarion.workers.ListBatches(pb.ListBatchesRequest(**fields))).batches)


async def throttles_of(clarion: Clarion) -> list[Throttle]:
    return list((await clarion.workers.ListThrottles(pb.ListThrottlesRequest())).throttles)


async def test_a_worker_is_shown_with_all_it_tells(clarion: Clarion, store: Store) -> None:
    assert await workers_of(clarion) == []
    await sign_of_life(store)
    (worker,) = await workers_of(clarion)
    assert worker.name == "workers/mill-7-0a1b2c"
    assert worker.state == Worker.STATE_WORKING
    assert (worker.host, worker.pid, worker.version) == ("Mühle", 7, "0.1.0")
    assert list(worker.lanes) == ["lanes/transactional", "lanes/marketing"]
    assert (worker.deliveries_in_flight, worker.batches_in_hand, worker.rate_per_s) == (28, 3, 12.5)
    assert worker.start_time.ToSeconds() == 1_700_000_000
    assert worker.heartbeat_time.ToSeconds() > 1_700_000_000
    assert 0 <= worker.heartbeat_age_s < 30


async def test_a_running_worker_shows_itself_and_is_gone_when_it_ends(clarion: Clarion) -> None:
    async with SmtpSink() as sink:
        room = await clarion.work(sink.port)
        (worker,) = await workers_of(clarion)
        assert worker.name == f"workers/{room.name}"
        await room.stop()
        assert await workers_of(clarion) == []


async def test_lists_are_paged(clarion: Clarion, store: Store) -> None:
    for name in ("b", "c", "a"):
        await sign_of_life(store, name)
    first = await clarion.workers.ListWorkers(pb.ListWorkersRequest(page_size=2))
    second = await clarion.workers.ListWorkers(pb.ListWorkersRequest(page_size=2, page_token=first.next_page_token))
    assert [worker.name[-1] for worker in [*first.workers, *second.workers]] == ["a", "b", "c"]
    assert second.next_page_token == ""
    lane = await clarion.workers.ListLanes(pb.ListLanesRequest(page_size=2))
    rest = await clarion.workers.ListLanes(pb.ListLanesRequest(page_size=2, page_token=lane.next_page_token))
    assert [each.name for each in [*lane.lanes, *rest.lanes]] == [
        "lanes/marketing",
        "lanes/transactional",
        "lanes/urgent",
    ]
    assert rest.next_page_token == ""
    strange = await refused(clarion.workers.ListLanes(pb.ListLanesRequest(page_token=first.next_page_token)))
    assert strange.says == (StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


async def test_a_worker_told_to_drain_is_shown_as_draining(clarion: Clarion, store: Store) -> None:
    await sign_of_life(store)
    request = pb.DrainWorkerRequest(name="workers/mill-7-0a1b2c", request_id=str(uuid.uuid4()))
    told = await clarion.workers.DrainWorker(request)
    assert (told.worker.state, told.replayed) == (Worker.STATE_DRAINING, False)
    again = await clarion.workers.DrainWorker(request)
    assert (again.worker.state, again.replayed) == (Worker.STATE_DRAINING, True)
    await WorkerStore(store, 1, LANES).farewell("mill-7-0a1b2c")
    ended = await clarion.workers.DrainWorker(request)
    assert (ended.HasField("worker"), ended.replayed) == (False, True)


@pytest.mark.parametrize(
    ("method", "request_", "says"),
    [
        ("DrainWorker", pb.DrainWorkerRequest(name=NOBODY), "WORKER_NOT_FOUND"),
        ("PauseLane", pb.PauseLaneRequest(name="lanes/express"), "LANE_NOT_FOUND"),
        ("ResumeLane", pb.ResumeLaneRequest(name="lanes/express"), "LANE_NOT_FOUND"),
        ("SetThrottle", pb.SetThrottleRequest(name="campaigns/nothing", rate_per_s=1), "CAMPAIGN_NOT_FOUND"),
        (
            "SetThrottle",
            pb.SetThrottleRequest(name="channelConfigurations/nothing", rate_per_s=1),
            "CHANNEL_CONFIGURATION_NOT_FOUND",
        ),
        (
            "SetThrottle",
            pb.SetThrottleRequest(name="channelConfigurations/nothing/providers/main", rate_per_s=1),
            "PROVIDER_NOT_FOUND",
        ),
        ("ClearThrottle", pb.ClearThrottleRequest(name="channels/email"), "THROTTLE_NOT_FOUND"),
    ],
)
async def test_what_there_is_not_is_not_found(clarion: Clarion, method: str, request_: Any, says: str) -> None:
    error = await refused(getattr(clarion.workers, method)(request_))
    assert error.says == (StatusCode.NOT_FOUND, says)
    assert error.message == f"{request_.name}: not found"
    assert request_.name in error.metadata.values()


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.SetThrottleRequest(name="channels/email"), "rate_per_s"),
        (pb.SetThrottleRequest(name="channels/email", rate_per_s=0.09), "rate_per_s"),
        (pb.SetThrottleRequest(name="channels/email", rate_per_s=1_000_001), "rate_per_s"),
        (pb.SetThrottleRequest(name="channels/email", rate_per_s=float("nan")), "rate_per_s"),
        (pb.SetThrottleRequest(name="channels/email", rate_per_s=float("inf")), "rate_per_s"),
        (pb.SetThrottleRequest(name="channels/email", rate_per_s=1, burst=-1), "burst"),
        (pb.SetThrottleRequest(name="channels/pigeon", rate_per_s=1), "name"),
        (pb.SetThrottleRequest(name="providers/main", rate_per_s=1), "name"),
        (pb.SetThrottleRequest(name="channels/sms/providers/", rate_per_s=1), "name"),
        (pb.SetThrottleRequest(name="channels/sms/providers/main/", rate_per_s=1), "name"),
        (pb.SetThrottleRequest(name="campaigns/welcome/providers/main", rate_per_s=1), "name"),
        (pb.SetThrottleRequest(name="channelConfigurations/Orders", rate_per_s=1), "name"),
    ],
)
async def test_a_limit_that_cannot_be_is_refused(clarion: Clarion, request_: pb.SetThrottleRequest, field: str) -> None:
    error = await refused(clarion.workers.SetThrottle(request_))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert error.violations.keys() == {field}


async def test_a_paused_lane_keeps_what_is_accepted_and_goes_on_when_resumed(clarion: Clarion) -> None:
    async with SmtpSink() as sink:
        await clarion.live_campaign()
        await clarion.live_campaign("news", category="CATEGORY_MARKETING")
        paused = await clarion.workers.PauseLane(pb.PauseLaneRequest(name="lanes/transactional"))
        assert (paused.lane.paused, paused.replayed) == (True, False)
        await clarion.work(sink.port)
        waiting = await clarion.trigger(3)
        other = await clarion.trigger(2, campaign="campaigns/news")
        assert (await clarion.finished(other.name)).counts.sent == 2
        lane = (await lanes_of(clarion))["lanes/transactional"]
        assert (lane.paused, lane.batches_waiting, lane.batches_due, lane.batches_in_hand) == (True, 1, 1, 0)
        assert len(sink.messages) == 2
        resumed = await clarion.workers.ResumeLane(pb.ResumeLaneRequest(name="lanes/transactional"))
        assert not resumed.lane.paused
        assert (await clarion.finished(waiting.name)).counts.sent == 3
        lane = (await lanes_of(clarion))["lanes/transactional"]
        assert (lane.paused, lane.batches_waiting, lane.oldest_due_age_s) == (False, 0, 0)


async def test_running_workers_leave_a_lane_alone_that_is_paused_later(clarion: Clarion) -> None:
    async with SmtpSink() as sink:
        await clarion.live_campaign()
        await clarion.live_campaign("news", category="CATEGORY_MARKETING")
        await clarion.work(sink.port)
        assert (await clarion.finished((await clarion.trigger()).name)).counts.sent == 1
        with capture_logs() as lines:
            await clarion.workers.PauseLane(pb.PauseLaneRequest(name="lanes/transactional"))
            await until(lambda: said(lines, "lane_paused"))
            waiting = await clarion.trigger()
            await clarion.finished((await clarion.trigger(campaign="campaigns/news")).name)
            assert (await lanes_of(clarion))["lanes/transactional"].batches_waiting == 1
            await clarion.workers.ResumeLane(pb.ResumeLaneRequest(name="lanes/transactional"))
            assert (await clarion.finished(waiting.name)).counts.sent == 1
            assert await said(lines, "lane_resumed")


async def said(lines: Sequence[MutableMapping[str, Any]], event: str) -> bool:
    return any((line["event"], line.get("lane")) == (event, "transactional") for line in lines)


async def test_a_repeated_pause_does_not_pause_again(clarion: Clarion) -> None:
    request = pb.PauseLaneRequest(name="lanes/marketing", request_id=str(uuid.uuid4()))
    await clarion.workers.PauseLane(request)
    await clarion.workers.ResumeLane(pb.ResumeLaneRequest(name="lanes/marketing"))
    late = await clarion.workers.PauseLane(request)
    assert (late.lane.paused, late.replayed) == (False, True)
    other = pb.PauseLaneRequest(name="lanes/transactional", request_id=request.request_id)
    assert (await refused(clarion.workers.PauseLane(other))).says == (StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    same_id = pb.ResumeLaneRequest(name="lanes/marketing", request_id=request.request_id)
    assert (await refused(clarion.workers.ResumeLane(same_id))).reason == "REQUEST_ID_REUSED"


async def test_open_batches_of_all_workspaces_are_shown(clarion: Clarion, store: Store) -> None:
    await clarion.live_campaign()
    await clarion.trigger(150)
    first, second = await batches_of(clarion)
    assert {first.deliveries_open, second.deliveries_open} == {100, 50}
    assert {first.state, second.state} == {Batch.STATE_WAITING}
    assert (first.workspace, first.campaign, first.lane) == ("default", CAMPAIGN, "lanes/transactional")
    assert first.HasField("due_time")
    assert not first.HasField("lease_end_time")
    assert (first.worker, first.epoch, first.crashes, first.shard) == ("", 0, 0, 0)
    elsewhere = (("x-clarion-workspace", "team-a"),)
    seen = await clarion.workers.ListBatches(pb.ListBatchesRequest(), metadata=elsewhere)
    assert [batch.id for batch in seen.batches] == [first.id, second.id]


async def test_stuck_batches_are_found_among_many(clarion: Clarion, store: Store) -> None:
    await clarion.live_campaign()
    for _ in range(12):
        await clarion.trigger(1_000)
    everything = [batch.id for batch in await batches_of(clarion, page_size=500)]
    assert len(everything) == 120
    assert await batches_of(clarion, stuck_only=True, page_size=500) == []
    lost = {everything[at] for at in (0, 2, 3, 119)}
    for batch in lost:
        await store.command("DEL", f"arq:job:{{0}}:{VIA}:{batch}:1")
    found: list[Batch] = []
    pages, token = 0, None
    while token != "":
        request = pb.ListBatchesRequest(stuck_only=True, page_size=2, page_token=token or "")
        page = await clarion.workers.ListBatches(request)
        assert len(page.batches) <= 2
        found += page.batches
        pages, token = pages + 1, page.next_page_token
    assert {batch.id for batch in found} == lost
    assert {batch.state for batch in found} == {Batch.STATE_STUCK}
    assert not any(batch.HasField("due_time") for batch in found)
    assert pages > 2, "a call looks through a bounded number"


async def test_a_claimed_batch_names_its_worker_and_its_lease(clarion: Clarion) -> None:
    async with SmtpSink() as sink:
        sink.script("dot", "hang")
        await clarion.live_campaign()
        room = await clarion.work(sink.port, drain_s=0, lease_s=60)
        await clarion.trigger(3)

        async def is_claimed() -> bool:
            return [batch.state for batch in await batches_of(clarion)] == [Batch.STATE_CLAIMED]

        await until(is_claimed)
        (batch,) = await batches_of(clarion)
        assert batch.worker == f"workers/{room.name}"
        assert batch.lease_end_time.ToSeconds() > 0
        assert not batch.HasField("due_time")
        assert batch.epoch == 1
        assert (await lanes_of(clarion))["lanes/transactional"].batches_in_hand == 1

        async def tells() -> bool:
            (worker,) = await workers_of(clarion)
            return (worker.deliveries_in_flight, worker.batches_in_hand) == (3, 1)

        await until(tells)


async def test_a_page_token_that_somebody_made_up_ends_nowhere(clarion: Clarion) -> None:
    await clarion.live_campaign()
    await clarion.trigger(300)
    page = await clarion.workers.ListBatches(pb.ListBatchesRequest(page_size=1))
    assert len(page.batches) == 1
    other = pb.ListBatchesRequest(page_size=1, page_token=page.next_page_token, stuck_only=True)
    assert (await refused(clarion.workers.ListBatches(other))).reason == "PAGE_TOKEN_INVALID"


async def test_a_throttle_is_set_changed_listed_and_cleared(clarion: Clarion, store: Store) -> None:
    await clarion.live_campaign()
    elsewhere = (("x-clarion-workspace", "team-a"),)
    for name, rate, burst, kept in (
        ("channels/email", 50, 0, 50),
        (CAMPAIGN, 0.1, 0, 1),
        ("channels/sms/providers/main", 2.5, 9, 9),
    ):
        answer = await clarion.workers.SetThrottle(pb.SetThrottleRequest(name=name, rate_per_s=rate, burst=burst))
        assert (answer.throttle.name, answer.throttle.rate_per_s, answer.throttle.burst) == (name, rate, kept)
    assert await store.command("HGET", key("control", "throttles"), "campaign:default/welcome") == b"0.1 1"
    listed = [(each.name, each.workspace) for each in await throttles_of(clarion)]
    assert listed == [(CAMPAIGN, "default"), ("channels/email", ""), ("channels/sms/providers/main", "")]
    not_there = pb.SetThrottleRequest(name=CAMPAIGN, rate_per_s=1)
    assert (await refused(clarion.workers.SetThrottle(not_there, metadata=elsewhere))).reason == "CAMPAIGN_NOT_FOUND"
    await clarion.workers.SetThrottle(pb.SetThrottleRequest(name="channels/email", rate_per_s=3), metadata=elsewhere)
    assert (await throttles_of(clarion))[1].rate_per_s == 3, "a channel is everybody's"
    for name in (CAMPAIGN, "channels/email", "channels/sms/providers/main"):
        assert not (await clarion.workers.ClearThrottle(pb.ClearThrottleRequest(name=name))).replayed
    assert await throttles_of(clarion) == []


@pytest.mark.parametrize("channel", ["email", "sms", "push", "webhook"])
async def test_every_channel_can_be_throttled(clarion: Clarion, channel: str) -> None:
    for name in (f"channels/{channel}", f"channels/{channel}/providers/main"):
        await clarion.workers.SetThrottle(pb.SetThrottleRequest(name=name, rate_per_s=1))
        assert [each.name for each in await throttles_of(clarion)] == [name]
        await clarion.workers.ClearThrottle(pb.ClearThrottleRequest(name=name))


async def test_a_configurations_throttles_are_of_the_callers_workspace_and_go_with_it(clarion: Clarion) -> None:
    whole, of_one = "channelConfigurations/orders-mail", "channelConfigurations/orders-mail/providers/main"
    team = Keeping(clarion, "team-a")
    await team.create("orders-mail", smtp(25))
    for name in (whole, of_one):
        request = pb.SetThrottleRequest(name=name, rate_per_s=1)
        assert (await refused(clarion.workers.SetThrottle(request))).says[0] == StatusCode.NOT_FOUND
        await clarion.workers.SetThrottle(request, metadata=(("x-clarion-workspace", "team-a"),))
    assert [(each.name, each.workspace) for each in await throttles_of(clarion)] == [
        (whole, "team-a"),
        (of_one, "team-a"),
    ]
    await team.delete("orders-mail")
    assert await throttles_of(clarion) == []


async def test_a_repeated_throttle_is_answered_with_what_holds_now(clarion: Clarion) -> None:
    request = pb.SetThrottleRequest(name="channels/email", rate_per_s=5, request_id=str(uuid.uuid4()))
    await clarion.workers.SetThrottle(request)
    await clarion.workers.SetThrottle(pb.SetThrottleRequest(name="channels/email", rate_per_s=7))
    late = await clarion.workers.SetThrottle(request)
    assert (late.throttle.rate_per_s, late.replayed) == (7, True)
    clear = pb.ClearThrottleRequest(name="channels/email", request_id=str(uuid.uuid4()))
    await clarion.workers.ClearThrottle(clear)
    assert (await clarion.workers.ClearThrottle(clear)).replayed
    assert not (await clarion.workers.SetThrottle(request)).HasField("throttle")
    request.rate_per_s = 6
    assert (await refused(clarion.workers.SetThrottle(request))).reason == "REQUEST_ID_REUSED"


async def test_a_removed_campaign_takes_its_throttle_along(clarion: Clarion) -> None:
    await clarion.live_campaign()
    await clarion.workers.SetThrottle(pb.SetThrottleRequest(name=CAMPAIGN, rate_per_s=5))
    await clarion.campaigns.StopCampaign(campaigns.StopCampaignRequest(name=CAMPAIGN))
    await clarion.campaigns.DeleteCampaign(campaigns.DeleteCampaignRequest(name=CAMPAIGN))
    assert await throttles_of(clarion) == []
