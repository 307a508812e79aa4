"""WorkerService: convert in, call, convert out."""

from __future__ import annotations

import math
import uuid
from typing import Annotated, Any

import grpc
import msgspec

from clarion.v1 import worker_service_pb2 as pb
from clarion.v1 import worker_service_pb2_grpc
from clarion_core.domain.worker import BatchState, OpenBatch, Throttle
from clarion_core.store.campaigns import RequestKey
from clarion_core.store.records import fingerprint
from clarion_core.store.workers import Place, WorkerStore
from clarion_server.convert_worker import from_batch, from_lane, from_throttle, from_worker, to_subject
from clarion_server.edge import workspace
from clarion_server.names import lane_id, worker_id
from clarion_server.paging import make_token, page_size, read_token

Context = grpc.aio.ServicerContext[Any, Any]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
LOOKS = 10  # at the store a call, for those that are stuck


class WorkerService(worker_service_pb2_grpc.WorkerServiceServicer):
    """Shows and steers workers, lanes, batches and throttles."""

    def __init__(self, workers: WorkerStore) -> None:
        self._workers = workers

    async def ListWorkers(self, request: pb.ListWorkersRequest, _: Context) -> pb.ListWorkersResponse:
        """Page through the workers."""
        position = read_token(request.page_token, tuple[str], "workers")
        found, last = await self._workers.page(position[0] if position else "", page_size(request.page_size))
        token = make_token((last,), "workers") if last else ""
        return pb.ListWorkersResponse(workers=[from_worker(worker) for worker in found], next_page_token=token)

    async def DrainWorker(self, request: pb.DrainWorkerRequest, _: Context) -> pb.DrainWorkerResponse:
        """Tell a worker to end."""
        name = worker_id(request.name)
        replayed = await self._workers.drain(name, _request(request.request_id, "drain", name))
        worker = await self._workers.worker(name)
        return pb.DrainWorkerResponse(worker=from_worker(worker) if worker else None, replayed=replayed)

    async def ListLanes(self, request: pb.ListLanesRequest, _: Context) -> pb.ListLanesResponse:
        """Page through the lanes."""
        position = read_token(request.page_token, tuple[str], "lanes")
        found, last = await self._workers.lane_page(position[0] if position else "", page_size(request.page_size))
        token = make_token((last,), "lanes") if last else ""
        return pb.ListLanesResponse(lanes=[from_lane(lane) for lane in found], next_page_token=token)

    async def PauseLane(self, request: pb.PauseLaneRequest, _: Context) -> pb.PauseLaneResponse:
        """Have nobody take from a lane."""
        name = lane_id(request.name)
        lane, replayed = await self._workers.pause(name, _request(request.request_id, "pause", name), paused=True)
        return pb.PauseLaneResponse(lane=from_lane(lane), replayed=replayed)

    async def ResumeLane(self, request: pb.ResumeLaneRequest, _: Context) -> pb.ResumeLaneResponse:
        """Have everybody take from a lane again."""
        name = lane_id(request.name)
        lane, replayed = await self._workers.pause(name, _request(request.request_id, "resume", name), paused=False)
        return pb.ResumeLaneResponse(lane=from_lane(lane), replayed=replayed)

    async def ListBatches(self, request: pb.ListBatchesRequest, _: Context) -> pb.ListBatchesResponse:
        """Page through the open batches, or those that are stuck."""
        bound = ("batches", request.stuck_only)
        position = read_token(request.page_token, tuple[Number, Number, str], *bound) or (0, 0, "")
        place = Place(shard=position[0], ms=position[1], id=position[2])
        found, end = await self._batches(place, page_size(request.page_size), stuck_only=request.stuck_only)
        token = make_token((end.shard, end.ms, end.id), *bound) if end else ""
        return pb.ListBatchesResponse(batches=[from_batch(batch) for batch in found], next_page_token=token)

    async def _batches(self, place: Place, size: int, *, stuck_only: bool) -> tuple[list[OpenBatch], Place | None]:
        """Up to `size` batches behind a place, fewer where those that are stuck are few; and the place to go on at."""
        shown: list[OpenBatch] = []
        end: Place | None = place
        for _ in range(LOOKS):
            if end is None or len(shown) == size:
                break
            found, end = await self._workers.batches(end, size - len(shown))
            shown += [batch for batch in found if not stuck_only or batch.state is BatchState.STUCK]
        return shown, end

    async def ListThrottles(self, request: pb.ListThrottlesRequest, _: Context) -> pb.ListThrottlesResponse:
        """Page through the limits that are set."""
        position = read_token(request.page_token, tuple[str], "throttles")
        found, last = await self._workers.throttle_page(position[0] if position else "", page_size(request.page_size))
        token = make_token((last,), "throttles") if last else ""
        return pb.ListThrottlesResponse(throttles=[from_throttle(each) for each in found], next_page_token=token)

    async def SetThrottle(self, request: pb.SetThrottleRequest, _: Context) -> pb.SetThrottleResponse:
        """Set a limit."""
        subject, rate = to_subject(request.name, workspace()), request.rate_per_s
        throttle = Throttle(subject=subject, rate_per_s=rate, burst=request.burst or math.ceil(rate))
        key = _request(request.request_id, "throttle", subject.limit, rate, request.burst)
        replayed = await self._workers.set_throttle(throttle, key)
        now = await self._workers.throttle(subject) if replayed else throttle
        return pb.SetThrottleResponse(throttle=from_throttle(now) if now else None, replayed=replayed)

    async def ClearThrottle(self, request: pb.ClearThrottleRequest, _: Context) -> pb.ClearThrottleResponse:
        """Take a limit away."""
        subject = to_subject(request.name, workspace())
        key = _request(request.request_id, "clear", subject.limit)
        return pb.ClearThrottleResponse(replayed=await self._workers.clear_throttle(subject, key))


def _request(request_id: str, *body: object) -> RequestKey:
    """The call's request id with its fingerprint; without one, an id of this try alone."""
    return RequestKey(id=request_id or str(uuid.uuid4()), fingerprint=fingerprint(body))
