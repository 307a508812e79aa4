"""Whether every recipient is accounted for, told from outside.

Three witnesses are heard and no other: what callers were told (triggers acknowledged, with their recipients), what the
SMTP sink took, and what the service says of itself (triggers, deliveries, campaigns). `check` compares them:

- lost: acknowledged and in no delivery, or not ended, or SENT and never at the sink;
- doubled: at the sink more often than SENT (once) and `ambiguous_attempts` (perhaps once each) explain;
- stray: at the sink, and nobody owes it, or to another address than the one it is owed to;
- unbalanced: an account that does not add up, or adds up to something else than its deliveries or triggers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from clarion.v1.campaign_pb2 import Campaign
from clarion.v1.delivery_pb2 import Delivery
from clarion.v1.trigger_pb2 import DeliveryCounts, Trigger
from clarion_client import Clarion
from support.processes import Taken

ENDS = ("sent", "failed", "suppressed", "expired", "cancelled", "ambiguous")
_OPEN = (Delivery.STATE_QUEUED, Delivery.STATE_SENDING, Delivery.STATE_RETRYING)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A CreateTrigger call that was answered: the trigger's name, and the address of every user id accepted."""

    trigger: str
    addresses: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the service says: triggers by name, the deliveries of each, and their campaigns."""

    triggers: Mapping[str, Trigger]
    deliveries: Mapping[str, Sequence[Delivery]]
    campaigns: Sequence[Campaign]


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


async def read_ledger(client: Clarion, acknowledged: Iterable[Acknowledged]) -> Ledger:
    """Ask the service about these triggers."""
    triggers, deliveries = {}, {}
    for call in acknowledged:
        triggers[call.trigger] = await client.get_trigger(call.trigger)
        deliveries[call.trigger] = [each async for each in client.list_deliveries(call.trigger, page_size=500)]
    names = sorted({trigger.campaign for trigger in triggers.values()})
    return Ledger(triggers, deliveries, [await client.get_campaign(name) for name in names])


def check(acknowledged: Sequence[Acknowledged], taken: Sequence[Taken], ledger: Ledger) -> Report:
    """Compare the witnesses. The triggers acknowledged must be all that their campaigns ever had."""
    report = Report()
    at_sink: dict[str, list[str]] = defaultdict(list)
    for message in taken:
        at_sink[message.message_id] += message.recipients
    report.repeated = sum(len(addresses) - 1 for addresses in at_sink.values())
    for call in acknowledged:
        owed = dict(call.addresses)
        for delivery in ledger.deliveries[call.trigger]:
            address = owed.pop(delivery.user_id, "")
            if not address:
                report.unbalanced.append(f"{delivery.name} was never acknowledged, or twice")
            _check_delivery(report, delivery, address, at_sink.pop(delivery.message_id.strip("<>"), []))
        report.lost += [f"{call.trigger} has no delivery for {user_id}" for user_id in owed]
        _check_trigger(report, ledger.triggers[call.trigger], ledger.deliveries[call.trigger])
    report.stray += [f"{message_id} belongs to no delivery" for message_id in at_sink]
    for campaign in ledger.campaigns:
        _check_campaign(report, campaign, ledger.triggers.values())
    return report


def _check_delivery(report: Report, delivery: Delivery, address: str, arrived: Sequence[str]) -> None:
    state = Delivery.State.Name(delivery.state).removeprefix("STATE_").lower()
    report.states[state] += 1
    report.ambiguous += delivery.ambiguous_attempts
    shown = f"{delivery.name} ({state}, {delivery.ambiguous_attempts} ambiguous, {len(arrived)} arrived)"
    certain = delivery.state == Delivery.STATE_SENT
    if delivery.state in _OPEN or len(arrived) < certain:
        report.lost.append(shown)
    if len(arrived) > certain + delivery.ambiguous_attempts:
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
