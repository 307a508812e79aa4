"""What a run says: the verdict of the three raw logs, and what the faults did to the work they struck.

Lost, doubled, stray and unbalanced come from `support.ledger_check`, which reads the raw logs and nothing else. The
other figures need to know who was struck and when, which is in the journal:

- `ambiguous_per_kill_max`. The wire says which deliveries were in a killed worker's open windows; the ledger says which
  of them have an ambiguous attempt. The figure is the most that any one kill has of both. So neither Clarion's word
  alone is taken for whose an ambiguity is, nor the harness' for whether there is one. A delivery that was only perhaps
  open, since the store fell silent, counts unless another cause accounts for its ambiguous attempts.
- `unexplained`: ambiguous attempts in the ledger that no death, no late worker and no worker's own report explain.
- `takeover_s_max`. From a kill to the moment the sink has taken all that waited for the dead worker unopened; by the
  sink's clock, which is the killer's. Of rounds alone, where nothing else keeps the work waiting; without deliveries
  that the next death struck too, and those that the sink refuses at first.
- `fresh_s_max`: from the answer to a call during a round to its message at the sink; without those that a worker had
  taken before it was killed.
- `unearned`: FAILED although the sink would have taken it, and not because its workers died over it (POISON).
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clarion.v1.delivery_pb2 import Delivery
from faults.journal import FAULTS
from faults.load import FRESH, PLAIN
from support.ledger_check import Report, check
from support.raw_logs import (
    ACKNOWLEDGED,
    LEDGER,
    SINK,
    Acknowledged,
    Ledger,
    Taken,
    lines_of,
    read_acknowledged,
    read_ledger,
    read_taken,
)

_REFUSED_FOR_GOOD = re.compile(r"\w+-5\d\d\+")
Line = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Figures:
    """The result of a run. Lists are findings, empty when good."""

    seed: int
    report: Report
    accepted: int
    faults: Counter[tuple[str, str]]
    points: Counter[tuple[str, str]]
    ambiguous_per_kill: list[int]
    takeovers_s: list[float]
    fresh_s: list[float]
    unexplained: list[str] = field(default_factory=list)
    unearned: list[str] = field(default_factory=list)


class Evidence:
    """The raw logs and the journal of a run, read once."""

    def __init__(self, directory: Path) -> None:
        self.acknowledged: Sequence[Acknowledged] = read_acknowledged(directory / ACKNOWLEDGED)
        self.taken: Sequence[Taken] = read_taken(directory / SINK)
        self.ledger: Ledger = read_ledger(directory / LEDGER)
        self.journal: Sequence[Line] = list(lines_of(directory / FAULTS))
        self.addresses: dict[str, str] = {}
        self.deliveries: dict[str, Delivery] = {}
        for call in self.acknowledged:
            for delivery in self.ledger.deliveries.get(call.trigger, ()):
                reference = delivery.name.rpartition("/")[2]
                self.deliveries[reference] = delivery
                self.addresses[reference] = call.addresses.get(delivery.user_id, "")

    @property
    def kills(self) -> Iterator[Line]:
        """The workers that were killed."""
        return (line for line in self.journal if line.get("fault") == "kill" and line["what"] == "worker")


def figures(directory: Path) -> Figures:
    """Read the logs of a run."""
    evidence = Evidence(directory)
    faults = [line for line in evidence.journal if "fault" in line]
    return Figures(
        seed=next(line["seed"] for line in evidence.journal if "seed" in line),
        report=check(evidence.acknowledged, evidence.taken, evidence.ledger),
        accepted=sum(len(call.addresses) for call in evidence.acknowledged),
        faults=Counter((line["what"], line["fault"]) for line in faults),
        points=Counter((line["step"], line["moment"]) for line in faults if "step" in line),
        ambiguous_per_kill=list(_ambiguous(evidence)),
        takeovers_s=list(_takeovers(evidence)),
        fresh_s=list(_fresh(evidence)),
        unexplained=list(_unexplained(evidence)),
        unearned=list(_unearned(evidence)),
    )


def _ambiguous(evidence: Evidence) -> Iterator[int]:
    certain = _causes(evidence, "open", "fenced", "unsure")
    attempts = {reference: delivery.ambiguous_attempts for reference, delivery in evidence.deliveries.items()}
    for kill in evidence.kills:
        opened = sum(attempts.get(each, 0) > 0 for each in kill["open"])
        yield opened + sum(attempts.get(each, 0) > certain[each] for each in kill["perhaps"])


def _causes(evidence: Evidence, *told: str) -> Counter[str]:
    """How often each delivery is named in these lists of the journal."""
    return Counter(each for line in evidence.journal for name in told for each in line.get(name, ()))


def _arrivals(evidence: Evidence) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for message in evidence.taken:
        found[message.message_id.partition("@")[0]].append(message.time)
    return found


def _struck(kill: Line) -> set[str]:
    """All that a killed worker had in hand."""
    return {*kill["held"], *kill["open"], *kill["perhaps"]}


def _takeovers(evidence: Evidence) -> Iterator[float]:
    arrivals = _arrivals(evidence)
    struck = Counter(each for kill in evidence.kills for each in _struck(kill))
    for kill in evidence.kills:
        if not kill.get("round"):
            continue
        waiting = [
            each
            for each in kill["held"]
            if struck[each] == 1 and evidence.addresses.get(each, "").startswith((PLAIN, FRESH))
        ]
        # What had arrived, or ended without a message, did not wait.
        ends = [_after(evidence, each, arrivals[each], kill["time"]) for each in waiting]
        if any(ends):
            yield max(filter(None, ends)) - kill["time"]


def _after(evidence: Evidence, delivery: str, arrivals: Sequence[float], died: float) -> float | None:
    """When it arrived after the death; None where it was through, infinite where it should have arrived."""
    later = [at for at in arrivals if at > died]
    if later or arrivals:
        return min(later, default=None)
    return math.inf if evidence.deliveries[delivery].state == Delivery.STATE_SENT else None


def _fresh(evidence: Evidence) -> Iterator[float]:
    arrivals = _arrivals(evidence)
    struck = {each for kill in evidence.kills for each in _struck(kill)}
    acknowledged = {call.trigger: call.time for call in evidence.acknowledged}
    for reference, address in evidence.addresses.items():
        if address.startswith(FRESH) and reference not in struck and arrivals[reference]:
            trigger = evidence.deliveries[reference].name.partition("/deliveries/")[0]
            yield arrivals[reference][0] - acknowledged[trigger]


def _unexplained(evidence: Evidence) -> Iterator[str]:
    causes = _causes(evidence, "open", "perhaps", "fenced", "unsure")
    for reference, delivery in evidence.deliveries.items():
        if delivery.ambiguous_attempts > causes[reference]:
            yield f"{delivery.name}: {delivery.ambiguous_attempts} ambiguous attempts, {causes[reference]} causes"


def _unearned(evidence: Evidence) -> Iterator[str]:
    for reference, delivery in evidence.deliveries.items():
        failed = delivery.state == Delivery.STATE_FAILED and delivery.reason != Delivery.REASON_POISON
        if failed and not _REFUSED_FOR_GOOD.match(evidence.addresses[reference]):
            yield f"{delivery.name} to {evidence.addresses[reference]}: {Delivery.Reason.Name(delivery.reason)}"
