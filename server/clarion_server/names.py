"""Resource names, taken apart. The contract's patterns have been checked before; ids are not checked again."""

from __future__ import annotations


def campaign_id(name: str) -> str:
    """`campaigns/{campaign}` → campaign."""
    return name.split("/")[1]


def trigger_ids(name: str) -> tuple[str, str]:
    """`campaigns/{campaign}/triggers/{trigger}` → campaign, trigger."""
    parts = name.split("/")
    return parts[1], parts[3]


def delivery_ids(name: str) -> tuple[str, str, str]:
    """`campaigns/{campaign}/triggers/{trigger}/deliveries/{delivery}` → campaign, trigger, delivery."""
    parts = name.split("/")
    return parts[1], parts[3], parts[5]


def worker_id(name: str) -> str:
    """`workers/{worker}` → worker."""
    return name.split("/")[1]


def lane_id(name: str) -> str:
    """`lanes/{lane}` → lane."""
    return name.split("/")[1]


def configuration_id(name: str) -> str:
    """`channelConfigurations/{configuration}` → configuration."""
    return name.split("/")[1]
