"""Dead letters made and handled over the real port."""

from __future__ import annotations

import itertools
from typing import Any

from clarion.v1 import delivery_pb2
from clarion.v1 import delivery_service_pb2 as pb
from support.clarion import CAMPAIGN, Clarion, a_recipient
from support.smtp_sink import SmtpSink

Delivery = delivery_pb2.Delivery
FAILED, AMBIGUOUS = Delivery.STATE_FAILED, Delivery.STATE_AMBIGUOUS
REFUSED, UNKNOWN = Delivery.REASON_RECIPIENT_REFUSED, Delivery.REASON_HANDOVER_UNKNOWN
TEAM_B = (("x-clarion-workspace", "team-b"),)


def filtered(**fields: Any) -> dict[str, Any]:
    """A filter of the usual campaign, unless it names another."""
    return {"campaign": CAMPAIGN} | fields


async def ended(clarion: Clarion, sink: SmtpSink, *actions: str, **fields: Any) -> list[Delivery]:
    """The deliveries of a trigger that is finished, one for each action of the sink; nobody works any more."""
    worker = await clarion.work(sink.port)
    recipients = [a_recipient(n, addresses={"email": f"{action}+{n}@example.com"}) for n, action in enumerate(actions)]
    trigger = await clarion.finished((await clarion.trigger(recipients=recipients, **fields)).name)
    await worker.stop()
    return await deliveries(clarion, trigger.name)


async def deliveries(clarion: Clarion, name: str) -> list[Delivery]:
    """The deliveries of a trigger, 500 at most."""
    request = pb.ListDeliveriesRequest(trigger=name, page_size=500)
    return list((await clarion.deliveries.ListDeliveries(request)).deliveries)


async def get(clarion: Clarion, name: str) -> Delivery:
    """One delivery as it stands."""
    return (await clarion.deliveries.GetDelivery(pb.GetDeliveryRequest(name=name))).delivery


def trigger_of(delivery: Delivery) -> str:
    """The name of its trigger."""
    return delivery.name.partition("/deliveries/")[0]


async def pages(clarion: Clarion, size: int = 0, **fields: Any) -> list[list[Delivery]]:
    """All pages of the dead letters that fit."""
    found, token = [], ""
    while True:
        request = pb.ListDeadLettersRequest(filter=filtered(**fields), page_size=size, page_token=token)
        page = await clarion.deliveries.ListDeadLetters(request)
        found.append(list(page.deliveries))
        token = page.next_page_token
        if not token:
            return found


async def listed(clarion: Clarion, **fields: Any) -> list[str]:
    """The names of the dead letters that fit, in order."""
    return [delivery.name for delivery in itertools.chain(*await pages(clarion, **fields))]


def redrive(clarion: Clarion, *, metadata: Any = (), validate_only: bool = False, **fields: Any) -> Any:
    """Ask for a redrive of what fits."""
    extra = {name: fields.pop(name) for name in ("request_id", "page_token") if name in fields}
    request = pb.RedriveDeadLettersRequest(filter=filtered(**fields), validate_only=validate_only, **extra)
    return clarion.deliveries.RedriveDeadLetters(request, metadata=metadata)


def discard(clarion: Clarion, *, reason: str = "a test", metadata: Any = (), **fields: Any) -> Any:
    """Ask for what fits to be discarded."""
    extra = {name: fields.pop(name) for name in ("request_id", "page_token", "validate_only") if name in fields}
    request = pb.DiscardDeadLettersRequest(filter=filtered(**fields), reason=reason, **extra)
    return clarion.deliveries.DiscardDeadLetters(request, metadata=metadata)
