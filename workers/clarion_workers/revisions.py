"""Campaign revisions, read once and kept: what a batch renders with."""

from __future__ import annotations

from collections import OrderedDict

from clarion_core.content.types import Revision
from clarion_core.store.campaigns import CampaignStore

KEPT = 200


class Revisions:
    """The revisions used last, at most 200; a revision never changes, so none is ever read twice for freshness."""

    def __init__(self, campaigns: CampaignStore) -> None:
        self._campaigns = campaigns
        self._kept: OrderedDict[tuple[str, int], Revision] = OrderedDict()

    async def get(self, campaign: str, revision: int) -> Revision | None:
        """A revision; None where its lifetime is over."""
        known = self._kept.get((campaign, revision))
        if known:
            self._kept.move_to_end((campaign, revision))
            return known
        definition = await self._campaigns.definition(campaign, revision)
        if definition is None:
            return None
        campaign_id = campaign.partition("/")[2]
        found = Revision(key=f"{campaign}:{revision}", campaign_id=campaign_id, definition=definition)
        self._kept[campaign, revision] = found
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found
