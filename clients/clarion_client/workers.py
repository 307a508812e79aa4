"""WorkerService, one method per RPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import grpc.aio

from clarion.v1.worker_pb2 import Batch, Lane, Throttle, Worker
from clarion.v1.worker_service_pb2 import (
    ClearThrottleRequest,
    DrainWorkerRequest,
    ListBatchesRequest,
    ListLanesRequest,
    ListThrottlesRequest,
    ListWorkersRequest,
    PauseLaneRequest,
    ResumeLaneRequest,
    SetThrottleRequest,
)
from clarion.v1.worker_service_pb2_grpc import WorkerServiceStub
from clarion_client.connection import Caller
from clarion_client.names import lane_name, worker_name
from clarion_client.paging import all_pages
from clarion_client.values import new_request_id

if TYPE_CHECKING:  # the generated module has the name for type checkers alone
    from clarion.v1.worker_service_pb2_grpc import WorkerServiceAsyncStub


class WorkerCalls:
    """Workers, lanes, open batches and throttles of the whole installation: see them, and steer them.

    Workers and lanes are named in full or in short: `lanes/marketing` or `marketing`. A throttle is named after what it
    limits: `campaigns/welcome`, `channels/sms`, `channelConfigurations/orders-sms`, and a provider of the last two:
    `channelConfigurations/orders-sms/providers/main`. Campaigns and configurations are of this client's workspace.
    `request_id` and `timeout_s` are what they are for campaigns.
    """

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._workers: WorkerServiceAsyncStub = WorkerServiceStub(channel)
        self._caller = caller

    def list_workers(self, *, page_size: int = 0, timeout_s: float | None = None) -> AsyncIterator[Worker]:
        """Every worker in the order of their names, silent ones too. The limit holds for a page."""
        return all_pages(
            lambda token: self._caller.call(
                self._workers.ListWorkers, ListWorkersRequest(page_size=page_size, page_token=token), timeout_s
            ),
            lambda page: page.workers,
        )

    async def drain_worker(self, name: str, *, request_id: str = "", timeout_s: float | None = None) -> Worker:
        """Tell a worker to finish what is in flight and end; the worker, nothing but its name once it has ended.

        NotFound.
        """
        request = DrainWorkerRequest(name=worker_name(name), request_id=request_id or new_request_id())
        answer = await self._caller.call(self._workers.DrainWorker, request, timeout_s)
        return answer.worker if answer.HasField("worker") else Worker(name=request.name)

    def list_lanes(self, *, page_size: int = 0, timeout_s: float | None = None) -> AsyncIterator[Lane]:
        """Every lane in the order of their names. The limit holds for a page."""
        return all_pages(
            lambda token: self._caller.call(
                self._workers.ListLanes, ListLanesRequest(page_size=page_size, page_token=token), timeout_s
            ),
            lambda page: page.lanes,
        )

    async def pause_lane(self, name: str, *, request_id: str = "", timeout_s: float | None = None) -> Lane:
        """Have workers take nothing new from a lane, within about a second, until it is resumed. NotFound."""
        request = PauseLaneRequest(name=lane_name(name), request_id=request_id or new_request_id())
        return (await self._caller.call(self._workers.PauseLane, request, timeout_s)).lane

    async def resume_lane(self, name: str, *, request_id: str = "", timeout_s: float | None = None) -> Lane:
        """Have workers take from a lane again. NotFound."""
        request = ResumeLaneRequest(name=lane_name(name), request_id=request_id or new_request_id())
        return (await self._caller.call(self._workers.ResumeLane, request, timeout_s)).lane

    def list_batches(
        self, *, stuck_only: bool = False, page_size: int = 0, timeout_s: float | None = None
    ) -> AsyncIterator[Batch]:
        """Every open batch, or those that are stuck. They move meanwhile. The limit holds for a page."""
        return all_pages(
            lambda token: self._caller.call(
                self._workers.ListBatches,
                ListBatchesRequest(page_size=page_size, page_token=token, stuck_only=stuck_only),
                timeout_s,
            ),
            lambda page: page.batches,
        )

    def list_throttles(self, *, page_size: int = 0, timeout_s: float | None = None) -> AsyncIterator[Throttle]:
        """Every limit that is set, of all workspaces. The limit holds for a page."""
        return all_pages(
            lambda token: self._caller.call(
                self._workers.ListThrottles, ListThrottlesRequest(page_size=page_size, page_token=token), timeout_s
            ),
            lambda page: page.throttles,
        )

    async def set_throttle(
        self, name: str, rate_per_s: float, *, burst: int = 0, request_id: str = "", timeout_s: float | None = None
    ) -> Throttle:
        """Hold in place of the configured limit, from now on: deliveries a second, and at once (0: a second's worth).

        InvalidArgument; NotFound for a campaign, a configuration or a provider of one that there is not.
        """
        request = SetThrottleRequest(
            name=name, rate_per_s=rate_per_s, burst=burst, request_id=request_id or new_request_id()
        )
        return (await self._caller.call(self._workers.SetThrottle, request, timeout_s)).throttle

    async def clear_throttle(self, name: str, *, request_id: str = "", timeout_s: float | None = None) -> None:
        """Let the configured limit hold again. NotFound where none was set."""
        request = ClearThrottleRequest(name=name, request_id=request_id or new_request_id())
        await self._caller.call(self._workers.ClearThrottle, request, timeout_s)
