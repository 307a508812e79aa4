"""Whether every recipient is accounted for, told from outside.

Three witnesses are heard and no other: what callers were told (triggers acknowledged, with their recipients), what the
SMTP sink took, and what the service says of itself (triggers, deliveries, campaigns). Each is a raw log that was
written when it happened, see `support.raw_logs`; `check_logs` reads them, `check` compares:

- lost: acknowledged and in no delivery, or not ended, or SENT and never at the sink;
- doubled: at the sink more often than SENT (once) and `ambiguous_attempts` (perhaps once each) explain, or more than
  once under AT_MOST_ONCE;
- stray: at the sink, and nobody owes it, or to another address than the one it is owed to;
- unbalanced: an account that does not add up, or adds up to something else than its deliveries or triggers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clarion.v1.campaign_pb2 import Campaign
from clarion.v1.delivery_pb2 import Delivery
from clarion.v1.trigger_pb2 import DeliveryCounts, Trigger
from support.raw_logs import (
    ACKNOWLEDGED,
    LEDGER,
    SINK,
    Acknowledged,
    Ledger,
    Taken,
    read_acknowledged,
    read_ledger,
    read_taken,
)

ENDS = ("sent", "failed", "suppressed", "expired", "cancelled", "ambiguous")
_AT_MOST_ONCE = Campaign.AMBIGUITY_POLICY_AT_MOST_ONCE
_OPEN = (Delivery.STATE_QUEUED, Delivery.STATE_SENDING, Delivery.STATE_RETRYING)


@dataclass(slots=True, repr=False)
class Report:
    """What was found. `ambiguous` counts attempts with an unknown outcome; the lists are findings, empty when good."""

    states: Counter[str] = field(default_factory=Counter)
    ambiguous: int = 0
    repeated: int = 0  # messages beyond the first of their Message-ID, explained or not
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)

    @property
    def closes(self) -> bool:
        """Whether every recipient is accounted for, truthfully."""
        return not (self.lost or self.doubled or self.stray or self.unbalanced)

    def __repr__(self) -> str:
        """The findings, the first ten of each kind."""
        head = f"{dict(self.states)}, {self.ambiguous} ambiguous attempts, {self.repeated} repeated messages"
        kinds = {name: getattr(self, name) for name in ("lost", "doubled", "stray", "unbalanced")}
        found = [f"{len(items)} {name}: " + "; ".join(items[:10]) for name, items in kinds.items() if items]
        return "\n".join([head, *found])


def check_logs(directory: Path) -> Report:
    """Compare the three raw logs in this directory."""
    return check(
        read_acknowledged(directory / ACKNOWLEDGED), read_taken(directory / SINK), read_ledger(directory / LEDGER)
    )


def check(acknowledged: Sequence[Acknowledged], taken: Sequence[Taken], ledger: Ledger) -> Report:
    """Compare the witnesses. The triggers acknowledged must be all that their campaigns ever had."""
    report = Report()
    at_sink: dict[str, list[str]] = defaultdict(list)
    for message in taken:
        at_sink[message.message_id] += message.recipients
    report.repeated = sum(len(addresses) - 1 for addresses in at_sink.values())
    once = {campaign.name for campaign in ledger.campaigns if campaign.ambiguity_policy == _AT_MOST_ONCE}
    for call in acknowledged:
        owed, trigger = dict(call.addresses), ledger.triggers.get(call.trigger, Trigger(name=call.trigger))
        deliveries = ledger.deliveries.get(call.trigger, ())
        for delivery in deliveries:
            address = owed.pop(delivery.user_id, "")
            if not address:
                report.unbalanced.append(f"{delivery.name} was never acknowledged, or twice")
            arrived = at_sink.pop(delivery.message_id.strip("<>"), [])
            _check_delivery(report, delivery, address, arrived, once=trigger.campaign in once)
        report.lost += [f"{call.trigger} has no delivery for {user_id}" for user_id in owed]
        _check_trigger(report, trigger, deliveries)
    report.stray += [f"{message_id} belongs to no delivery" for message_id in at_sink]
    for campaign in ledger.campaigns:
        _check_campaign(report, campaign, ledger.triggers.values())
    return report


def _check_delivery(report: Report, delivery: Delivery, address: str, arrived: Sequence[str], *, once: bool) -> None:
    state = Delivery.State.Name(delivery.state).removeprefix("STATE_").lower()
    report.states[state] += 1
    report.ambiguous += delivery.ambiguous_attempts
    shown = f"{delivery.name} ({state}, {delivery.ambiguous_attempts} ambiguous, {len(arrived)} arrived)"
    certain = delivery.state == Delivery.STATE_SENT
    allowed = certain + delivery.ambiguous_attempts
    if delivery.state in _OPEN or len(arrived) < certain:
        report.lost.append(shown)
    if len(arrived) > (min(allowed, 1) if once else allowed):
        report.doubled.append(shown)
    if set(arrived) - {address}:
        report.stray.append(f"{shown} went to {sorted(set(arrived))}")


def _check_trigger(report: Report, trigger: Trigger, deliveries: Sequence[Delivery]) -> None:
    _check_law(report, trigger.name, trigger.counts)
    found = Counter(Delivery.State.Name(delivery.state).removeprefix("STATE_").lower() for delivery in deliveries)
    kept = {name: getattr(trigger.counts, name) for name in ENDS if getattr(trigger.counts, name)}
    if kept != {name: count for name, count in found.items() if name in ENDS}:
        report.unbalanced.append(f"{trigger.name} counts {kept}, its deliveries are {dict(found)}")
    if trigger.counts.accepted != len(deliveries):
        report.unbalanced.append(f"{trigger.name} accepted {trigger.counts.accepted}, has {len(deliveries)} deliveries")


def _check_campaign(report: Report, campaign: Campaign, triggers: Iterable[Trigger]) -> None:
    _check_law(report, campaign.name, campaign.counts)
    own = [trigger.counts for trigger in triggers if trigger.campaign == campaign.name]
    for name in ("accepted", "in_flight", *ENDS):
        total = sum(getattr(counts, name) for counts in own)
        if total != getattr(campaign.counts, name):
            report.unbalanced.append(
                f"{campaign.name}.{name} is {getattr(campaign.counts, name)}, its triggers {total}"
            )


def _check_law(report: Report, name: str, counts: DeliveryCounts | Campaign.Counts) -> None:
    if counts.accepted != counts.in_flight + sum(getattr(counts, end) for end in ENDS):
        report.unbalanced.append(f"{name} does not add up: {counts}".replace("\n", " "))
