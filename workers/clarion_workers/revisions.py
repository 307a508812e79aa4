"""Campaign revisions, read once and kept: what a batch renders with, and the files that go with it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from clarion_core.content.types import Revision
from clarion_core.domain import files
from clarion_core.domain.campaign import Definition
from clarion_core.store.campaigns import CampaignStore

KEPT = 200
KEPT_BYTES = 64 * files.MIB  # of files


@dataclass(frozen=True, slots=True, kw_only=True)
class Sendable:
    """A revision as templates need it, and its definition with the data of its files, which they don't."""

    revision: Revision
    definition: Definition

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(map(len, files.data_of(self.definition).values()))


class Revisions:
    """The revisions used last, at most 200, and 64 MiB of files but for those of the last one.

    A revision never changes, so none is ever read twice for freshness; who asks while it is read waits for that.
    """

    def __init__(self, campaigns: CampaignStore) -> None:
        self._campaigns = campaigns
        self._kept: OrderedDict[tuple[str, int], Sendable] = OrderedDict()
        self._size = 0
        self._reading: dict[tuple[str, int], asyncio.Task[Sendable | None]] = {}

    async def get(self, campaign: str, revision: int) -> Sendable | None:
        """A revision; None where its lifetime is over."""
        known = self._kept.get((campaign, revision))
        if known:
            self._kept.move_to_end((campaign, revision))
            return known
        reading = self._reading.get((campaign, revision))
        if reading is None:
            reading = self._reading[campaign, revision] = asyncio.create_task(self._read(campaign, revision))
        return await asyncio.shield(reading)

    async def _read(self, campaign: str, revision: int) -> Sendable | None:
        try:
            definition = await self._campaigns.definition(campaign, revision)
            if definition is None:
                return None
            data = await self._campaigns.files(campaign, revision) if files.lack(definition) else {}
        finally:
            del self._reading[campaign, revision]
        named = Revision(key=f"{campaign}:{revision}", campaign_id=campaign.partition("/")[2], definition=definition)
        found = Sendable(revision=named, definition=files.filled(definition, data))
        self._keep((campaign, revision), found)
        return found

    def _keep(self, key: tuple[str, int], found: Sendable) -> None:
        self._kept[key] = found
        self._size += found.size
        while len(self._kept) > KEPT or (self._size > KEPT_BYTES and len(self._kept) > 1):
            self._size -= self._kept.popitem(last=False)[1].size
