"""TriggerService: convert in, call, convert out."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from typing import Any

import grpc

from clarion.v1 import trigger_service_pb2 as pb
from clarion.v1 import trigger_service_pb2_grpc
from clarion_core.domain.campaign import campaign_key
from clarion_server.convert_trigger import from_trigger, milliseconds, to_recipient
from clarion_server.edge import workspace
from clarion_server.names import campaign_id, trigger_ids
from clarion_server.paging import make_token, page_size, read_token
from clarion_server.repeats import Repeats
from clarion_server.triggering import TriggerRequest, Triggers
from clarion_server.values import from_struct
from clarion_server.watch import Watches

Context = grpc.aio.ServicerContext[Any, Any]


class TriggerService(trigger_service_pb2_grpc.TriggerServiceServicer):
    """Runs campaigns."""

    def __init__(self, triggers: Triggers, watches: Watches, repeats: Repeats) -> None:
        self._triggers, self._watches, self._once = triggers, watches, repeats.once

    async def CreateTrigger(self, request: pb.CreateTriggerRequest, _: Context) -> pb.CreateTriggerResponse:
        """Accept a trigger, durable."""
        trigger, replayed = await self._triggers.create(
            TriggerRequest(
                workspace=workspace(),
                campaign_id=campaign_id(request.campaign),
                recipients=[to_recipient(recipient) for recipient in request.recipients],
                context=from_struct(request.context),
                request_id=request.request_id,
                expire_ms=milliseconds(request.expire_time, "expire_time") if request.HasField("expire_time") else 0,
                ordering_key=request.ordering_key,
                all_or_nothing=request.all_or_nothing,
                validate_only=request.validate_only,
            )
        )
        return pb.CreateTriggerResponse(trigger=from_trigger(trigger), replayed=replayed)

    async def GetTrigger(self, request: pb.GetTriggerRequest, _: Context) -> pb.GetTriggerResponse:
        """Read one trigger."""
        stored = await self._triggers.get(workspace(), *trigger_ids(request.name))
        return pb.GetTriggerResponse(trigger=from_trigger(stored.trigger))

    async def ListTriggers(self, request: pb.ListTriggersRequest, _: Context) -> pb.ListTriggersResponse:
        """Page through a campaign's triggers, the newest first."""
        campaign = campaign_key(workspace(), campaign_id(request.campaign))
        position = read_token(request.page_token, tuple[int, str], "triggers", campaign)
        found, more = await self._triggers.page(campaign, position, page_size(request.page_size))
        token = make_token((found[-1].create_ms, found[-1].id), "triggers", campaign) if more else ""
        return pb.ListTriggersResponse(
            triggers=[from_trigger(trigger, refusals=False) for trigger in found], next_page_token=token
        )

    async def CancelTrigger(self, request: pb.CancelTriggerRequest, _: Context) -> pb.CancelTriggerResponse:
        """Call a trigger off."""
        trigger, replayed = await self._triggers.cancel(workspace(), *trigger_ids(request.name), request.request_id)
        return pb.CancelTriggerResponse(trigger=from_trigger(trigger), replayed=replayed)

    async def PauseTrigger(self, request: pb.PauseTriggerRequest, _: Context) -> pb.PauseTriggerResponse:
        """Hold a trigger back."""

        async def act() -> pb.PauseTriggerResponse:
            trigger = await self._triggers.pause(workspace(), *trigger_ids(request.name))
            return pb.PauseTriggerResponse(trigger=from_trigger(trigger))

        return await self._once(request, pb.PauseTriggerResponse, act)

    async def ResumeTrigger(self, request: pb.ResumeTriggerRequest, _: Context) -> pb.ResumeTriggerResponse:
        """Let a trigger go on."""

        async def act() -> pb.ResumeTriggerResponse:
            trigger = await self._triggers.resume(workspace(), *trigger_ids(request.name))
            return pb.ResumeTriggerResponse(trigger=from_trigger(trigger))

        return await self._once(request, pb.ResumeTriggerResponse, act)

    async def WatchTrigger(self, request: pb.WatchTriggerRequest, _: Context) -> AsyncIterator[pb.WatchTriggerResponse]:
        """Stream what happens to a trigger."""
        campaign, trigger_id = trigger_ids(request.name)
        read = functools.partial(self._triggers.get, workspace(), campaign, trigger_id)
        async for step in self._watches.watch(trigger_id, read, request.resume_token, feedback=request.feedback):
            yield step
