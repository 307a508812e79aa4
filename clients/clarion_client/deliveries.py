"""DeliveryService, one method per RPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

import grpc.aio

from clarion.v1.delivery_pb2 import Delivery
from clarion.v1.delivery_service_pb2 import GetDeliveryRequest, ListDeliveriesRequest
from clarion.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from clarion_client.connection import Caller
from clarion_client.names import delivery_name, trigger_name
from clarion_client.paging import all_pages

if TYPE_CHECKING:  # the generated module has the name for type checkers alone
    from clarion.v1.delivery_service_pb2_grpc import DeliveryServiceAsyncStub


class DeliveryCalls:
    """Deliveries: what is owed to each recipient, and what became of it."""

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._deliveries: DeliveryServiceAsyncStub = DeliveryServiceStub(channel)
        self._caller = caller

    async def get_delivery(self, name: str, *, timeout_s: float | None = None) -> Delivery:
        """One delivery as it stands. NotFound."""
        request = GetDeliveryRequest(name=delivery_name(name))
        return (await self._caller.call(self._deliveries.GetDelivery, request, timeout_s)).delivery

    def list_deliveries(
        self,
        trigger: str,
        *,
        states: Iterable[Delivery.State.ValueType] = (),
        page_size: int = 0,
        timeout_s: float | None = None,
    ) -> AsyncIterator[Delivery]:
        """A trigger's deliveries in the order of its recipients, or those in `states`. The limit holds for a page."""
        name, wanted = trigger_name(trigger), list(states)
        return all_pages(
            lambda token: self._caller.call(
                self._deliveries.ListDeliveries,
                ListDeliveriesRequest(trigger=name, page_size=page_size, page_token=token, states=wanted),
                timeout_s,
            ),
            lambda page: page.deliveries,
        )
