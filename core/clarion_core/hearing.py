"""Taking in what is heard of messages after they were sent: a fact on the delivery, and what it says of the address.

Everything may be heard twice and in any order; what was cut off half-way is mended by hearing it again.
"""

from __future__ import annotations

from collections.abc import Sequence

from clarion_core.domain.feedback import Fact, FactKind
from clarion_core.domain.ids import medium_of
from clarion_core.domain.medium import Channel
from clarion_core.domain.outcome import AddressFact
from clarion_core.domain.suppression import SOFT_BOUNCES, SuppressionReason, fact_of_bounce
from clarion_core.store.facts import FactStore, Noted
from clarion_core.store.suppressions import Suppressions, Told
from clarion_core.thresholds import Thresholds


class Hearing:
    """Takes in facts. Whatever it raises, nothing is lost if the fact is told again."""

    def __init__(self, facts: FactStore, suppressions: Suppressions, thresholds: Thresholds) -> None:
        self._facts, self._suppressions, self._thresholds = facts, suppressions, thresholds

    async def hear(self, delivery_id: str, fact: Fact, *, unsubscribed: bool = False) -> Noted:
        """Take in a fact of a delivery; GONE where there is none. `unsubscribed`: it came back for that reason."""
        noted = await self._facts.note(delivery_id, fact)
        if noted is not Noted.GONE:
            await self._tell(delivery_id, fact, unsubscribed=unsubscribed)
        return noted

    async def hear_sent_as(self, provider: str, provider_id: str, fact: Fact) -> Noted:
        """Take in a fact of what a provider has under this id; WAITING where no outcome has told of it yet.

        What waits is noted with the outcome, and says nothing of the address.
        """
        noted, delivery_id = await self._facts.note_sent_as(provider, provider_id, fact)
        if delivery_id and noted is not Noted.GONE:
            await self._tell(delivery_id, fact)
        return noted

    async def stop(self, workspaces: Sequence[str], channel: Channel, address: str, *, source: str) -> None:
        """Somebody wrote that they want no more: none of these workspaces sends to the address on this channel."""
        told = Told(address=address, fact=AddressFact.UNSUBSCRIBED, source=source)
        for workspace in workspaces:
            await self._suppressions.hear(workspace, channel, [told])

    async def start(self, workspaces: Sequence[str], channel: Channel, address: str) -> None:
        """Somebody wrote that they want messages again: what stop did is undone, and nothing else."""
        for workspace in workspaces:
            [verdict] = await self._suppressions.verdicts(workspace, channel, [address])
            if verdict.by and verdict.by.reason is SuppressionReason.UNSUBSCRIBED:
                await self._suppressions.remove(workspace, channel, [verdict.by.target])

    async def _tell(self, delivery_id: str, fact: Fact, *, unsubscribed: bool = False) -> None:
        channel = medium_of(delivery_id).channel
        said = AddressFact.UNSUBSCRIBED if unsubscribed else _said_of_the_address(fact, channel)
        whose = await self._facts.addressee(delivery_id) if said else None
        address = whose.recipient.addresses.get(channel.value) if whose else None
        if said and whose and address:
            comment = " ".join(filter(None, (fact.code, fact.detail)))
            told = Told(address=address, fact=said, source=fact.provider, comment=comment, time_ms=fact.time_ms)
            counts = said is AddressFact.SOFT_BOUNCE
            enough = await self._thresholds.of(whose.head, channel) if counts else SOFT_BOUNCES
            await self._suppressions.hear(whose.head.workspace, channel, [told], soft_bounces=enough)


def _said_of_the_address(fact: Fact, channel: Channel) -> AddressFact | None:
    match fact.kind:
        case FactKind.BOUNCED if fact.category:
            return fact_of_bounce(fact.category, channel, receipt=True)
        case FactKind.COMPLAINED:
            return AddressFact.COMPLAINT
        case FactKind.DELIVERED:
            return AddressFact.REACHED
    return None
