"""Dead letters: deliveries that ended FAILED or AMBIGUOUS, found by a filter, sent again or discarded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from clarion_core.domain.campaign import CampaignState, campaign_key
from clarion_core.domain.delivery import DeliveryState, Reason
from clarion_core.domain.errors import CampaignNotFound, CampaignStateError, FieldProblem, InvalidRequest
from clarion_core.domain.medium import media_of
from clarion_core.domain.trigger import Trigger, TriggerState
from clarion_core.store.campaigns import CampaignStore
from clarion_core.store.dead_letters import DeadLetterStore
from clarion_core.store.records import policy_code
from clarion_core.store.triggers import StoredDelivery, StoredTrigger, TriggerStore
from clarion_server.names import delivery_ids

AT_ONCE = 500  # deliveries a call looks at
TRIGGERS_AT_ONCE = 50
DEAD = frozenset({DeliveryState.FAILED, DeliveryState.AMBIGUOUS})
REDRIVABLE = (CampaignState.LIVE, CampaignState.PAUSED)

# When the trigger's first delivery died, the trigger, how many of it were looked at; and when the first page was asked
# for: what ends later is not of this walk, or one that redrives what fails again at once would never end.
Position = tuple[int, str, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which dead letters of a campaign; empty sets, an empty name and a time of 0 are no condition."""

    workspace: str
    campaign_id: str
    names: Sequence[str] = ()
    states: frozenset[DeliveryState] = frozenset()
    reasons: frozenset[Reason] = frozenset()
    provider: str = ""
    from_ms: int = 0
    until_ms: int = 0

    def is_of(self, trigger: Trigger) -> bool:
        """Whether the trigger is one of the campaign."""
        return (trigger.workspace, trigger.campaign_id) == (self.workspace, self.campaign_id)

    def fits(self, delivery: StoredDelivery) -> bool:
        """Whether it is a dead letter that is asked for."""
        record = delivery.record
        return (
            record.state in (self.states or DEAD)
            and not delivery.discard_ms
            and (not self.reasons or record.reason in self.reasons)
            and (not self.provider or record.provider == self.provider)
            and self.from_ms <= record.time_ms
            and (not self.until_ms or record.time_ms < self.until_ms)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A trigger and those of its deliveries that fit."""

    trigger: StoredTrigger
    deliveries: Sequence[StoredDelivery]


class DeadLetters:
    """Finds, redrives and discards."""

    def __init__(self, store: DeadLetterStore, triggers: TriggerStore, campaigns: CampaignStore) -> None:
        self._store, self._triggers, self._campaigns = store, triggers, campaigns

    async def find(self, wanted: Filter, position: Position | None, limit: int) -> tuple[list[Found], Position | None]:
        """What fits among the next `limit` deliveries of triggers with dead letters, and where to go on."""
        if wanted.names:
            return await self._named(wanted), None
        begun_ms = position[3] if position else await self._store.now_ms()
        wanted = replace(wanted, until_ms=min(wanted.until_ms or begun_ms + 1, begun_ms + 1))
        found: list[Found] = []
        looked = 0
        async for died_ms, trigger_id, skip in self._walk(wanted, position):
            stored = await self._triggers.get(trigger_id)
            if stored is None or not wanted.is_of(stored.trigger):
                continue
            while skip < stored.placement.count:
                if looked >= limit:
                    return found, (died_ms, trigger_id, skip, begun_ms)
                rows = await self._triggers.deliveries(trigger_id, stored.placement, skip, limit - looked)
                if not rows:  # its lifetime ended just now
                    break
                looked, skip = looked + len(rows), skip + len(rows)
                if fitting := [row for row in rows if wanted.fits(row)]:
                    found.append(Found(trigger=stored, deliveries=fitting))
        return found, None

    async def _walk(self, wanted: Filter, position: Position | None) -> AsyncIterator[tuple[int, str, int]]:
        """Triggers with dead letters: the one that a position is in, then those behind it."""
        if position:
            yield position[:3]
        campaign = campaign_key(wanted.workspace, wanted.campaign_id)
        after = (position[0], position[1]) if position else None
        while entries := await self._store.triggers(campaign, after, TRIGGERS_AT_ONCE):
            for died_ms, trigger_id in entries:
                if died_ms >= wanted.until_ms:
                    return
                yield died_ms, trigger_id, 0
            after = entries[-1]

    async def _named(self, wanted: Filter) -> list[Found]:
        problems = [
            FieldProblem(
                path=f"filter.deliveries[{index}]", description="must be one of the campaign in filter.campaign"
            )
            for index, name in enumerate(wanted.names)
            if delivery_ids(name)[0] != wanted.campaign_id
        ]
        if problems:
            raise InvalidRequest.of(problems)
        found = []
        for name in dict.fromkeys(wanted.names):
            _, trigger_id, delivery_id = delivery_ids(name)
            stored = await self._triggers.get(trigger_id)
            if stored is None or not wanted.is_of(stored.trigger):
                continue
            skip = stored.placement.position(delivery_id)
            if skip is None:
                continue
            rows = await self._triggers.deliveries(trigger_id, stored.placement, skip, 1)
            found += [Found(trigger=stored, deliveries=[row]) for row in rows if wanted.fits(row)]
        return found

    async def redrive(
        self, wanted: Filter, position: Position | None, *, dry: bool
    ) -> tuple[int, int, Position | None]:
        """Send what fits again; how many, how many were left alone, and where to go on."""
        slot = await self._campaigns.read(wanted.workspace, wanted.campaign_id)
        if slot.campaign is None:
            raise CampaignNotFound(f"campaigns/{wanted.campaign_id}")
        if slot.campaign.state not in REDRIVABLE:
            raise CampaignStateError(
                slot.campaign.name,
                action="redrive",
                state=slot.campaign.state.name,
                allowed=[state.name for state in REDRIVABLE],
            )
        found, following = await self.find(wanted, position, AT_ONCE)
        done = skipped = 0
        for each in found:
            can = _can_go_on(each.trigger.trigger, slot.now_ms)
            again = await self._redrive(slot.campaign.key, each, dry=dry) if can else 0
            done, skipped = done + again, skipped + len(each.deliveries) - again
        return done, skipped, following

    async def _redrive(self, campaign: str, found: Found, *, dry: bool) -> int:
        if dry:
            return len(found.deliveries)
        revision = found.trigger.head.revision
        definition = await self._campaigns.definition(campaign, revision)
        if definition is None:
            return 0
        workspace = found.trigger.trigger.workspace
        configurations = {
            medium: f"{workspace}/{name}"
            for channel, name in definition.channels.items()
            for medium in media_of(channel)
        }
        return max(
            0,
            await self._store.redrive(
                found.trigger.trigger.id,
                [delivery.id for delivery in found.deliveries],
                campaign=campaign,
                revision=revision,
                lane=definition.lane,
                policy=policy_code(definition),
                configurations=configurations,
            ),
        )

    async def discard(
        self, wanted: Filter, position: Position | None, *, reason: str, dry: bool
    ) -> tuple[int, Position | None]:
        """Take what fits out of the list; how many, and where to go on."""
        found, following = await self.find(wanted, position, AT_ONCE)
        campaign = campaign_key(wanted.workspace, wanted.campaign_id)
        done = 0
        for each in found:
            ids = [delivery.id for delivery in each.deliveries]
            done += (
                len(ids)
                if dry
                else await self._store.discard(each.trigger.trigger.id, ids, campaign=campaign, reason=reason)
            )
        return done, following


def _can_go_on(trigger: Trigger, now_ms: int) -> bool:
    over = trigger.expire_ms and trigger.expire_ms <= now_ms
    return not over and trigger.state not in (TriggerState.CANCELLED, TriggerState.CANCELLING)
