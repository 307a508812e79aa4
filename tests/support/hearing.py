"""Somebody who takes in what is heard of messages, as the processes have it."""

from __future__ import annotations

from collections.abc import Mapping

from clarion_core.domain.medium import Channel
from clarion_core.hearing import Hearing
from clarion_core.store.campaigns import CampaignStore
from clarion_core.store.configurations import Configurations
from clarion_core.store.facts import FactStore
from clarion_core.store.store import Store
from clarion_core.store.suppressions import Suppressions
from clarion_core.thresholds import Thresholds
from support.records import RETENTION_S


def a_hearing(store: Store, own: Mapping[Channel, int] | None = None) -> Hearing:
    """On this store; `own` are the thresholds of the workers' own configurations."""
    thresholds = Thresholds(CampaignStore(store, 1, RETENTION_S), Configurations(store), own or {})
    return Hearing(FactStore(store, 1, RETENTION_S), Suppressions(store), thresholds)
