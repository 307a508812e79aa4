"""Whether every message of a run is accounted for, from three sides: the answers, the records, the mailbox."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from clarion.v1.delivery_pb2 import Delivery
from clarion_client.cli.bulk import Tally
from clarion_core.domain.medium import Channel

FINAL = frozenset({"SENT", "FAILED", "SUPPRESSED", "EXPIRED", "CANCELLED", "AMBIGUOUS"})


@dataclass(frozen=True)
class Account:
    """What the server answered, what it recorded, and how often the mailbox holds each message, by its `key_of`.

    `returned`: how many of the sent messages came back; `told`: of how many it was told that they were delivered.
    """

    tally: Tally
    deliveries: Sequence[Delivery]
    caught: Counter[str]
    returned: int = 0
    told: int = 0

    @cached_property
    def states(self) -> Counter[str]:
        """How many deliveries are in each state."""
        return Counter(Delivery.State.Name(each.state).removeprefix("STATE_") for each in self.deliveries)

    @cached_property
    def failures(self) -> Counter[str]:
        """Why deliveries failed, in words."""
        return _reasons(each for each in self.deliveries if each.state == Delivery.STATE_FAILED)

    def of_channel(self, channel: Channel) -> Account:
        """The same of one channel's deliveries, as far as they are told apart: what was refused is no channel's."""
        return replace(self, deliveries=[each for each in self.deliveries if each.channel == channel.value])

    @cached_property
    def reasons(self) -> Counter[str]:
        """Why deliveries were not sent, in words."""
        return _reasons(each for each in self.deliveries if each.state != Delivery.STATE_SENT and each.reason)

    @cached_property
    def bounces(self) -> list[tuple[Delivery, Delivery.Fact]]:
        """The deliveries whose mail came back, and what is known of it."""
        return self._heard(Delivery.Fact.KIND_BOUNCED)

    @cached_property
    def delivered(self) -> int:
        """Of how many deliveries it is known that they reached their recipient's side."""
        return len(self._heard(Delivery.Fact.KIND_DELIVERED))

    @cached_property
    def in_flight(self) -> int:
        """Deliveries in no final state."""
        return sum(count for state, count in self.states.items() if state not in FINAL)

    @cached_property
    def in_mailbox(self) -> Counter[str]:
        """The messages of this run that the mailbox holds."""
        ours = {key_of(each) for each in self.deliveries}
        return Counter({left: count for left, count in self.caught.items() if left in ours})

    @cached_property
    def gaps(self) -> list[str]:
        """What does not add up, one sentence each; empty if every recipient is accounted for."""
        sent = {key_of(each) for each in self.deliveries if each.state == Delivery.STATE_SENT}
        again = sum(self.in_mailbox.values()) - len(self.in_mailbox)
        counts = {
            "accepted messages have no delivery": self.tally.accepted - len(self.deliveries),
            "deliveries are still in flight": self.in_flight,
            "sent messages are not in the mailbox": len(sent - self.in_mailbox.keys()),
            "messages are in the mailbox but not recorded as sent": len(self.in_mailbox.keys() - sent),
            "messages are in the mailbox more than once": again,
            "messages that came back are not noted": self.returned - len(self.bounces),
            "messages that were delivered are not noted as such": self.told - self.delivered,
        }
        return [f"{count} {what}" for what, count in counts.items() if count]

    def _heard(self, kind: Delivery.Fact.Kind.ValueType) -> list[tuple[Delivery, Delivery.Fact]]:
        return [(each, fact) for each in self.deliveries for fact in each.facts if fact.kind == kind]

    @property
    def closes(self) -> bool:
        """Whether every recipient is accounted for."""
        return not self.gaps

    def latency_ms(self, share: float) -> float | None:
        """From accept to handed over: the time that `share` of the sent deliveries kept. None if nothing was sent."""
        times = sorted(
            (each.update_time.ToDatetime() - each.create_time.ToDatetime()).total_seconds() * 1000
            for each in self.deliveries
            if each.state == Delivery.STATE_SENT
        )
        return times[math.ceil(share * len(times)) - 1] if times else None


def key_of(delivery: Delivery) -> str:
    """What the mailbox knows its message by: the left part of the message id, but an SMSC sees no id of ours."""
    if delivery.channel == Channel.SMS.value:
        return delivery.provider_message_id.partition(" ")[0]
    return delivery.message_id.strip("<>").partition("@")[0]


def _reasons(deliveries: Iterable[Delivery]) -> Counter[str]:
    names = (Delivery.Reason.Name(each.reason).removeprefix("REASON_") for each in deliveries)
    return Counter(name.replace("_", " ").lower() for name in names)
