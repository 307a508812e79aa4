"""The demo's suppression lists: as they were before an earlier one, and one customer who has asked for no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from clarion_client.cli import bulk
from clarion_core.domain.medium import Channel
from clarion_core.domain.suppression import Entry, SuppressionReason, Target, TargetKind
from clarion_core.store.connection import connect
from clarion_core.store.store import Store
from clarion_core.store.suppressions import Suppressions
from clarion_core.targets import check_address

WORKSPACE = "default"


async def prepare_lists(redis_url: str, recipients: Path, stopped: str) -> None:
    """Whoever an earlier demo found to be gone is sent to again; the phone number `stopped`, if any, is not."""
    store = Store(connect(redis_url))
    try:
        lists = Suppressions(store)
        addresses = set(_addresses(recipients))
        for channel in Channel:
            targets = [Target(TargetKind.ADDRESS, address) for of, address in addresses if of is channel]
            await lists.remove(WORKSPACE, channel, targets)
        if stopped:
            target = Target(TargetKind.ADDRESS, check_address(Channel.SMS, stopped))
            entry = Entry(target=target, reason=SuppressionReason.UNSUBSCRIBED, source="demo", comment="wrote STOP")
            await lists.add(WORKSPACE, Channel.SMS, [entry])
    finally:
        await store.close()


def _addresses(recipients: Path) -> Iterator[tuple[Channel, str]]:
    """Every address in a file of triggers, in the form in which lists have it; what is none is on no list."""
    for line in bulk.read_lines(recipients):
        for recipient in line.body["recipients"]:
            pairs = [(Channel(name), text) for name, text in recipient["addresses"].items()]
            pairs += [(Channel.PUSH, device["token"]) for device in recipient.get("devices", ())]
            for channel, text in pairs:
                with suppress(ValueError):
                    yield channel, check_address(channel, text)
