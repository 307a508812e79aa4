"""What a worker exposes of itself; what the store holds is exposed by the server."""

from __future__ import annotations

from collections import Counter

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

from clarion_core.domain.delivery import DeliveryState
from clarion_core.domain.worker import Identity
from clarion_workers.leases import Leases
from clarion_workers.sweep import Sweeper
from clarion_workers.tally import Tally
from clarion_workers.windows import AllWindows

# Where an attempt can lead.
OUTCOMES = (
    DeliveryState.SENT,
    DeliveryState.RETRYING,
    DeliveryState.FAILED,
    DeliveryState.AMBIGUOUS,
)
COPIES = ("sent", "failed", "ambiguous", "suppressed")


class WorkerMetrics:
    """Reads the counts of this process."""

    def __init__(
        self,
        identity: Identity,
        tally: Tally,
        leases: Leases,
        windows: AllWindows,
        sweeper: Sweeper,
    ) -> None:
        self._identity, self._tally, self._leases = identity, tally, leases
        self._windows, self._sweeper = windows, sweeper

    async def read(self) -> list[Metric]:
        """Everything."""
        me = {"worker": self._identity.id, "version": self._identity.version}
        batches = GaugeMetricFamily("clarion_worker_batches_in_hand", "Batches in hand.", self._leases.held)
        return [
            InfoMetricFamily("clarion_worker", "Which worker this is.", me),
            self._deliveries(),
            _copied("clarion_worker_copies", "Copies of e-mails (cc, bcc), by how they ended.", self._tally.copies),
            _copied("clarion_worker_seeds", "Copies for seeds, by how they ended.", self._tally.seeds),
            batches,
            self._in_windows(),
            *self._recounts(),
        ]

    def _deliveries(self) -> Metric:
        family = CounterMetricFamily(
            "clarion_worker_deliveries", "Attempts that came to an outcome and are recorded.", labels=("outcome",)
        )
        for state in {**dict.fromkeys(OUTCOMES), **dict.fromkeys(self._tally.outcomes)}:
            family.add_metric((state.name.lower(),), self._tally.outcomes[state])
        return family

    def _in_windows(self) -> Metric:
        family = GaugeMetricFamily(
            "clarion_worker_window_deliveries",
            "Deliveries in open windows: handed over, or about to be, and not recorded.",
            labels=("lane", "medium"),
        )
        found = Counter[tuple[str, str]]()
        for lane, medium, in_use in self._windows.in_use():
            found[lane, medium.value] += in_use
        for labels, in_use in found.items():
            family.add_metric(labels, in_use)
        return family

    def _recounts(self) -> list[Metric]:
        return [
            CounterMetricFamily("clarion_recount_triggers", "Triggers this worker recounted.", self._sweeper.recounted),
            CounterMetricFamily(
                "clarion_recount_differences",
                "Recounts that differed from what was kept: must be 0.",
                self._sweeper.differences,
            ),
        ]


def _copied(name: str, words: str, counts: Counter[str]) -> Metric:
    family = CounterMetricFamily(name, words, labels=("outcome",))
    for outcome in COPIES:
        family.add_metric((outcome,), counts[outcome])
    return family
