"""What this process was told, counted, and as metrics."""

from __future__ import annotations

from collections import Counter

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily

from clarion_core.domain.feedback import Fact
from clarion_core.store.facts import Noted


class Tally:
    """Counts of this process. A source is a name from the configuration, so there are few."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str]] = Counter()
        self._facts: Counter[tuple[str, str, str]] = Counter()

    def count(self, source: str, answer: str) -> None:
        """Count what a source was answered: told, ignored, forged, malformed, failed."""
        self._requests[source, answer] += 1

    def noted(self, source: str, fact: Fact, noted: Noted) -> None:
        """Count a fact, and what became of it."""
        self._facts[source, fact.kind.name.lower(), noted.value.lower()] += 1

    async def read(self) -> list[Metric]:
        """Everything, as metrics."""
        requests = CounterMetricFamily(
            "clarion_edge_requests", "Requests and messages of sources, by answer.", labels=("source", "answer")
        )
        for labels, count in self._requests.items():
            requests.add_metric(labels, count)
        facts = CounterMetricFamily(
            "clarion_edge_facts",
            "Facts told, by what became of them: new, changed, known, or gone, where there is no such delivery.",
            labels=("source", "kind", "noted"),
        )
        for names, count in self._facts.items():
            facts.add_metric(names, count)
        return [requests, facts]
