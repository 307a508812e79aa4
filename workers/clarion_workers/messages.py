"""From a claimed delivery to a message that can be handed over: rendered, addressed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from clarion_core.content.renderer import Renderer
from clarion_core.content.types import RenderFailure, RenderRequest
from clarion_core.domain.campaign import Definition
from clarion_core.domain.delivery import DeliveryState, Reason
from clarion_core.domain.retry import Conclusion, clip
from clarion_core.store.batches import Claim
from clarion_core.store.triggers import StoredDelivery
from clarion_workers.assembly import Batch, assembler
from clarion_workers.channels import Message
from clarion_workers.revisions import Revisions


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A delivery and its message."""

    delivery: StoredDelivery
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Unready:
    """A delivery that can't become a message, and why it ends."""

    delivery: StoredDelivery
    conclusion: Conclusion


class Composer:
    """Makes the messages of a batch."""

    def __init__(self, revisions: Revisions, renderer: Renderer) -> None:
        self._revisions, self._renderer = revisions, renderer

    async def definition(self, claim: Claim) -> Definition:
        """What the batch's campaign revision says; an empty one where its lifetime is over."""
        found = await self._revisions.get(claim.campaign, claim.revision)
        return found.definition if found else Definition()

    async def compose(self, claim: Claim, deliveries: Sequence[StoredDelivery]) -> list[Ready | Unready]:
        """Make the messages of deliveries of a batch, in order. One that fails leaves the others alone."""
        medium = claim.ref.medium
        found = await self._revisions.get(claim.campaign, claim.revision)
        if found is None:
            gone = _failed(Reason.INTERNAL, f"revision {claim.revision} of the campaign is no longer kept")
            return [Unready(delivery=delivery, conclusion=gone) for delivery in deliveries]
        requests = [
            RenderRequest(
                user_id=delivery.recipient.user_id,
                email=delivery.recipient.addresses.get("email", ""),
                phone=delivery.recipient.addresses.get("sms", ""),
                locale=delivery.recipient.locale,
                profile=delivery.recipient.profile,
                context=delivery.recipient.context,
                shared=claim.heads[delivery.trigger_id].context,
            )
            for delivery in deliveries
        ]
        rendered = await self._renderer.render(found.revision, medium.channel, requests)
        batch = Batch(campaign=claim.campaign, definition=found.definition, medium=medium, now_s=time.time())
        assemble = assembler(batch)
        return [
            Unready(delivery=delivery, conclusion=_failed(Reason.RENDER_FAILED, result.detail))
            if isinstance(result, RenderFailure)
            else Ready(delivery=delivery, message=assemble(delivery, result))
            for delivery, result in zip(deliveries, rendered, strict=True)
        ]


def _failed(reason: Reason, detail: str) -> Conclusion:
    return Conclusion(state=DeliveryState.FAILED, reason=reason, detail=clip(detail))
