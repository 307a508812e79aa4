"""DeliveryService: convert in, call, convert out."""

from __future__ import annotations

from typing import Annotated, Any

import grpc
import msgspec

from clarion.v1 import delivery_service_pb2 as pb
from clarion.v1 import delivery_service_pb2_grpc
from clarion_core.domain.errors import DeliveryNotFound
from clarion_core.domain.trigger import MAX_DELIVERIES
from clarion_core.store.triggers import TriggerStore
from clarion_server.convert_trigger import from_delivery, milliseconds, to_reasons, to_states
from clarion_server.dead_letters import DeadLetters, Filter, Position
from clarion_server.edge import workspace
from clarion_server.names import campaign_id, delivery_ids, trigger_ids
from clarion_server.paging import make_token, page_size, read_token
from clarion_server.repeats import Repeats
from clarion_server.triggering import Triggers

Context = grpc.aio.ServicerContext[Any, Any]
Ms = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Skip = Annotated[int, msgspec.Meta(ge=0, le=MAX_DELIVERIES)]

_AboutDeadLetters = pb.ListDeadLettersRequest | pb.RedriveDeadLettersRequest | pb.DiscardDeadLettersRequest


class DeliveryService(delivery_service_pb2_grpc.DeliveryServiceServicer):
    """Reads deliveries and takes care of dead letters.

    `message_id_domain` is what the workers put to the right of every Message-ID.
    """

    def __init__(
        self,
        triggers: Triggers,
        store: TriggerStore,
        dead_letters: DeadLetters,
        repeats: Repeats,
        message_id_domain: str,
    ) -> None:
        self._triggers, self._store, self._domain = triggers, store, message_id_domain
        self._dead_letters, self._once = dead_letters, repeats.once

    async def GetDelivery(self, request: pb.GetDeliveryRequest, _: Context) -> pb.GetDeliveryResponse:
        """Read one delivery."""
        campaign, trigger_id, delivery_id = delivery_ids(request.name)
        stored = await self._triggers.get(workspace(), campaign, trigger_id)
        skip = stored.placement.position(delivery_id)
        if skip is None:
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

    async def ListDeadLetters(self, request: pb.ListDeadLettersRequest, _: Context) -> pb.ListDeadLettersResponse:
        """Page through what ended badly."""
        wanted, bound = _filter(request.filter), _bound(request)
        position = _position(request.page_token, bound)
        found, following = await self._dead_letters.find(wanted, position, page_size(request.page_size))
        return pb.ListDeadLettersResponse(
            deliveries=[
                from_delivery(each.trigger.trigger, delivery, self._domain)
                for each in found
                for delivery in each.deliveries
            ],
            next_page_token=make_token(following, *bound) if following else "",
        )

    async def RedriveDeadLetters(
        self, request: pb.RedriveDeadLettersRequest, _: Context
    ) -> pb.RedriveDeadLettersResponse:
        """Send dead letters again."""
        wanted, bound = _filter(request.filter), _bound(request)
        position = _position(request.page_token, bound)

        async def act() -> pb.RedriveDeadLettersResponse:
            done, skipped, following = await self._dead_letters.redrive(wanted, position, dry=request.validate_only)
            token = make_token(following, *bound) if following else ""
            return pb.RedriveDeadLettersResponse(redriven=done, skipped=skipped, next_page_token=token)

        return await self._once(request, pb.RedriveDeadLettersResponse, act)

    async def DiscardDeadLetters(
        self, request: pb.DiscardDeadLettersRequest, _: Context
    ) -> pb.DiscardDeadLettersResponse:
        """Take dead letters out of the list."""
        wanted, bound = _filter(request.filter), _bound(request)
        position = _position(request.page_token, bound)

        async def act() -> pb.DiscardDeadLettersResponse:
            done, following = await self._dead_letters.discard(
                wanted, position, reason=request.reason, dry=request.validate_only
            )
            token = make_token(following, *bound) if following else ""
            return pb.DiscardDeadLettersResponse(discarded=done, next_page_token=token)

        return await self._once(request, pb.DiscardDeadLettersResponse, act)


def _filter(proto: pb.DeadLetterFilter) -> Filter:
    return Filter(
        workspace=workspace(),
        campaign_id=campaign_id(proto.campaign),
        names=tuple(proto.deliveries),
        states=to_states(proto.states),
        reasons=to_reasons(proto.reasons),
        provider=proto.provider,
        from_ms=milliseconds(proto.from_time, "filter.from_time") if proto.HasField("from_time") else 0,
        until_ms=milliseconds(proto.until_time, "filter.until_time") if proto.HasField("until_time") else 0,
    )


def _position(token: str, bound: tuple[str, str, bytes]) -> Position | None:
    return read_token(token, tuple[Ms, str, Skip, Ms], *bound)


def _bound(request: _AboutDeadLetters) -> tuple[str, str, bytes]:
    """What a page token belongs to."""
    return request.DESCRIPTOR.name, workspace(), request.filter.SerializeToString(deterministic=True)
