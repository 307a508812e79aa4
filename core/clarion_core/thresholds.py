"""How many soft bounces suppress an address: as the channel configuration says that its delivery left by."""

from __future__ import annotations

from collections.abc import Mapping

from clarion_core.configuration import document
from clarion_core.configuration.channels import Channels
from clarion_core.domain.campaign import campaign_key
from clarion_core.domain.medium import Channel
from clarion_core.domain.suppression import SOFT_BOUNCES
from clarion_core.store.campaigns import CampaignStore
from clarion_core.store.configurations import Configurations
from clarion_core.store.records import Head


class Thresholds:
    """Looks a threshold up whenever it is asked for: two round trips, and soft bounces are rare.

    `own` are those of the configurations that workers have of their own, by channel.
    """

    def __init__(self, campaigns: CampaignStore, configurations: Configurations, own: Mapping[Channel, int]) -> None:
        self._campaigns, self._configurations, self._own = campaigns, configurations, own

    async def of(self, head: Head, channel: Channel) -> int:
        """The threshold for a delivery of the trigger on the channel, as its configuration has it now.

        The store's configuration of the name goes before the workers' own, as it does where messages leave. What is
        gone, or can't be read here, leaves the default.
        """
        definition = await self._campaigns.definition(campaign_key(head.workspace, head.campaign_id), head.revision)
        name = definition.channels.get(channel) if definition else None
        if name is None:
            return SOFT_BOUNCES
        kept = (await self._configurations.read(head.workspace, name)).configuration
        if kept:
            part = document.kept(kept)
            return part.soft_bounces if part else SOFT_BOUNCES
        return self._own.get(channel, SOFT_BOUNCES) if name == channel.value else SOFT_BOUNCES


def own_thresholds(channels: Channels | None) -> dict[Channel, int]:
    """What the workers' file says, where there is one."""
    parts = {channel: getattr(channels, channel.value, None) for channel in Channel}
    return {channel: part.soft_bounces for channel, part in parts.items() if part}
