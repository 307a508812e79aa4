"""Campaigns as the server knows them: read once, used until the store says that they changed."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from clarion_core.domain.campaign import Campaign, campaign_key
from clarion_core.domain.context import ContextSchema
from clarion_core.domain.errors import CampaignNotFound
from clarion_core.store.campaigns import CampaignStore

KEPT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A campaign with the schema of its context."""

    campaign: Campaign
    schema: ContextSchema


class Catalogue:
    """The campaigns used last, at most 1,000.

    What is known may be old: accepting compares it with the shard's gate in the step that writes, and a refusal is
    made on a fresh reading only.
    """

    def __init__(self, campaigns: CampaignStore) -> None:
        self._campaigns = campaigns
        self._known: OrderedDict[str, Known] = OrderedDict()

    async def get(self, workspace: str, campaign_id: str, *, fresh: bool) -> Known:
        """A campaign; `CampaignNotFound` where there is none."""
        key = campaign_key(workspace, campaign_id)
        known = self._known.get(key)
        if known and not fresh:
            self._known.move_to_end(key)
            return known
        self._known.pop(key, None)
        slot = await self._campaigns.read(workspace, campaign_id)
        if slot.campaign is None:
            raise CampaignNotFound(f"campaigns/{campaign_id}")
        found = self._known[key] = Known(campaign=slot.campaign, schema=ContextSchema(slot.campaign.definition.context))
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return found
