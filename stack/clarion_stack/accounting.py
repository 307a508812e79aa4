"""Whether every recipient of a run is accounted for, from three sides: the answers, the records, the mailbox."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from clarion.v1.delivery_pb2 import Delivery
from clarion_client.cli.bulk import Tally

FINAL = frozenset({"SENT", "FAILED", "SUPPRESSED", "EXPIRED", "CANCELLED", "AMBIGUOUS"})


@dataclass(frozen=True)
class Account:
    """What the server answered, what it recorded, and how often the mailbox holds each message id's left part.

    `returned`: how many of the sent messages came back.
    """

    tally: Tally
    deliveries: Sequence[Delivery]
    caught: Counter[str]
    returned: int = 0

    @cached_property
    def states(self) -> Counter[str]:
        """How many deliveries are in each state."""
        return Counter(Delivery.State.Name(each.state).removeprefix("STATE_") for each in self.deliveries)

    @cached_property
    def failures(self) -> Counter[str]:
        """Why deliveries failed, in words."""
        failed = (each.reason for each in self.deliveries if each.state == Delivery.STATE_FAILED)
        return Counter(Delivery.Reason.Name(each).removeprefix("REASON_").replace("_", " ").lower() for each in failed)

    @cached_property
    def bounces(self) -> list[tuple[Delivery, Delivery.Fact]]:
        """The deliveries whose mail came back, and what is known of it."""
        return [
            (each, fact) for each in self.deliveries for fact in each.facts if fact.kind == Delivery.Fact.KIND_BOUNCED
        ]

    @cached_property
    def in_flight(self) -> int:
        """Deliveries in no final state."""
        return sum(count for state, count in self.states.items() if state not in FINAL)

    @cached_property
    def in_mailbox(self) -> Counter[str]:
        """The messages of this run that the mailbox holds."""
        ours = {_left_part(each) for each in self.deliveries}
        return Counter({left: count for left, count in self.caught.items() if left in ours})

    @cached_property
    def gaps(self) -> list[str]:
        """What does not add up, one sentence each; empty if every recipient is accounted for."""
        sent = {_left_part(each) for each in self.deliveries if each.state == Delivery.STATE_SENT}
        again = sum(self.in_mailbox.values()) - len(self.in_mailbox)
        counts = {
            "accepted recipients have no delivery": self.tally.accepted - len(self.deliveries),
            "deliveries are still in flight": self.in_flight,
            "sent messages are not in the mailbox": len(sent - self.in_mailbox.keys()),
            "messages are in the mailbox but not recorded as sent": len(self.in_mailbox.keys() - sent),
            "messages are in the mailbox more than once": again,
            "messages that came back are not noted": self.returned - len(self.bounces),
        }
        return [f"{count} {what}" for what, count in counts.items() if count]

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


def _left_part(delivery: Delivery) -> str:
    return delivery.message_id.strip("<>").partition("@")[0]
