"""The load: the example's orders as requests, as bytes, so that making them costs the measured time nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice
from typing import Any

from clarion.v1.trigger_pb2 import Recipient
from clarion.v1.trigger_service_pb2 import CreateTriggerRequest
from clarion_client.values import to_recipient, to_struct
from support.example_orders import CAMPAIGN, valid_orders

CAMPAIGN_ID = CAMPAIGN.name
NAME = f"campaigns/{CAMPAIGN_ID}"
METHOD = "/clarion.v1.TriggerService/CreateTrigger"
A_CALL = 100  # recipients


def unary() -> list[bytes]:
    """Every valid order as a request for one recipient, its context shared, as `clarion trigger` sends it."""
    return [
        CreateTriggerRequest(
            campaign=NAME, recipients=[to_recipient(order["recipients"][0])], context=to_struct(order["context"])
        ).SerializeToString()
        for order in valid_orders()
    ]


def calls(count: int, *, campaign_id: str = CAMPAIGN_ID, each: int = A_CALL, domain: str = "") -> list[bytes]:
    """Requests for `count` recipients, `each` in each but the last: the orders in turn, each with a user of its own.

    With a domain every user has the address `user@domain`; else addresses are those of the orders.
    """
    endless = enumerate(cycle(_recipients()))
    name = f"campaigns/{campaign_id}"
    return [_call(name, islice(endless, min(each, count - start)), domain) for start in range(0, count, each)]


def user(number: int) -> str:
    """The user of the request or order with this number."""
    return f"u-{number}"


def _call(name: str, numbered: Iterator[tuple[int, Recipient]], domain: str) -> bytes:
    request = CreateTriggerRequest(campaign=name)
    for number, recipient in numbered:
        added = request.recipients.add()
        added.CopyFrom(recipient)
        added.user_id = user(number)
        if domain:
            added.addresses["email"] = f"{added.user_id}@{domain}"
    return request.SerializeToString()


@cache
def _recipients() -> list[Recipient]:
    """The orders as recipients that carry their own context."""
    return [to_recipient({**order["recipients"][0], "context": order["context"]}) for order in valid_orders()]


def plain(count: int) -> Iterator[dict[str, Any]]:
    """The same as plain dicts, for the builds that know no protobuf."""
    for number, order in islice(enumerate(cycle(valid_orders())), count):
        yield {**order["recipients"][0], "user_id": user(number), "context": order["context"]}
