"""DeliveryService: convert in, call, convert out."""

from __future__ import annotations

from typing import Annotated, Any

import grpc
import msgspec

from clarion.v1 import delivery_service_pb2 as pb
from clarion.v1 import delivery_service_pb2_grpc
from clarion_core.domain.errors import DeliveryNotFound
from clarion_core.domain.trigger import MAX_RECIPIENTS
from clarion_core.store.triggers import TriggerStore
from clarion_server.convert_trigger import from_delivery, to_states
from clarion_server.edge import workspace
from clarion_server.names import delivery_ids, trigger_ids
from clarion_server.paging import make_token, page_size, read_token
from clarion_server.triggering import Triggers

Context = grpc.aio.ServicerContext[Any, Any]
Skip = Annotated[int, msgspec.Meta(ge=0, le=MAX_RECIPIENTS)]


class DeliveryService(delivery_service_pb2_grpc.DeliveryServiceServicer):
    """Reads deliveries. `message_id_domain` is what the workers put to the right of every Message-ID."""

    def __init__(self, triggers: Triggers, store: TriggerStore, message_id_domain: str) -> None:
        self._triggers, self._store, self._domain = triggers, store, message_id_domain

    async def GetDelivery(self, request: pb.GetDeliveryRequest, _: Context) -> pb.GetDeliveryResponse:
        """Read one delivery."""
        campaign, trigger_id, delivery_id = delivery_ids(request.name)
        stored = await self._triggers.get(workspace(), campaign, trigger_id)
        base, number = delivery_id.split("-")
        skip = int(number) - stored.placement.start
        if base != stored.placement.base or not 0 <= skip < stored.placement.count:
            raise DeliveryNotFound(request.name)
        found = await self._store.deliveries(trigger_id, stored.placement, skip, 1)
        if not found:
            raise DeliveryNotFound(request.name)
        return pb.GetDeliveryResponse(delivery=from_delivery(stored.trigger, found[0], self._domain))

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, _: Context) -> pb.ListDeliveriesResponse:
        """Page through a trigger's deliveries in the order of the request's recipients."""
        states = to_states(request.states)
        bound = ("deliveries", workspace(), request.trigger, sorted(states))
        position = read_token(request.page_token, tuple[Skip], *bound)
        skip = position[0] if position else 0
        stored = await self._triggers.get(workspace(), *trigger_ids(request.trigger))
        size = page_size(request.page_size)
        found = await self._store.deliveries(stored.trigger.id, stored.placement, skip, size)
        token = make_token((skip + size,), *bound) if skip + size < stored.placement.count else ""
        shown = [
            from_delivery(stored.trigger, d, self._domain) for d in found if not states or d.record.state in states
        ]
        return pb.ListDeliveriesResponse(deliveries=shown, next_page_token=token)
