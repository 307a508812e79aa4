"""What the server exposes: what the store holds, read when somebody asks, and the calls of this process."""

from __future__ import annotations

import asyncio
import importlib.metadata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

from clarion_core import logs
from clarion_core.domain.errors import ClarionError
from clarion_core.domain.trigger import Counts
from clarion_core.domain.worker import Lane, WorkerState
from clarion_core.store import overview
from clarion_core.store.store import Store
from clarion_core.store.upkeep import Upkeep
from clarion_core.store.workers import WorkerStore
from clarion_server.calls import Calls

STORE_S = 2.0  # to read the store in
CAMPAIGNS_SHOWN = 1_000
WORKERS_AT_ONCE = 1_000

log = logs.get(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What the store holds."""

    accounts: Mapping[str, Counts]
    lanes: Sequence[Lane]
    workers: Counter[WorkerState]
    recounts: tuple[int, int]


class ServerMetrics:
    """Reads what there is to tell. Of a store that is away it says so, and the rest."""

    def __init__(self, store: Store, workers: WorkerStore, upkeep: Upkeep, calls: Calls, shards: int) -> None:
        self._store, self._workers, self._calls, self._shards = store, workers, calls, shards
        self._upkeep = upkeep
        self._version = importlib.metadata.version("clarion")

    async def read(self) -> list[Metric]:
        """Everything, within two seconds and a little."""
        held = await self._held()
        found = [_gauge("clarion_store_up", "Whether the store answered.", 0 if held is None else 1)]
        if held is not None:
            found += [*_accounts(held.accounts), *_lanes(held.lanes), *_workers(held)]
        return [*found, *self._of_this_process()]

    async def _held(self) -> _Held | None:
        try:
            async with asyncio.timeout(STORE_S):
                return _Held(
                    accounts=await overview.accounts(self._store, self._shards),
                    lanes=await self._workers.lanes(),
                    workers=await self._counted_workers(),
                    recounts=await self._upkeep.recounts(),
                )
        except (ClarionError, TimeoutError) as error:
            log.debug("metrics_without_store", error=type(error).__name__)
            return None

    async def _counted_workers(self) -> Counter[WorkerState]:
        counted: Counter[WorkerState] = Counter()
        after = ""
        while True:
            found, after = await self._workers.page(after, WORKERS_AT_ONCE)
            counted.update(worker.state for worker in found)
            if not after:
                return counted

    def _of_this_process(self) -> Iterator[Metric]:
        yield InfoMetricFamily("clarion_build", "Which Clarion this is.", {"version": self._version})
        labels = ("method", "code")
        ended = CounterMetricFamily("clarion_calls", "Calls that ended.", labels=labels)
        seconds = CounterMetricFamily("clarion_call_seconds", "Seconds that they took.", labels=labels)
        for key, count in self._calls.ended.items():
            ended.add_metric(key, count)
            seconds.add_metric(key, self._calls.seconds[key])
        yield ended
        yield seconds


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value)


def _accounts(accounts: Mapping[str, Counts]) -> Iterator[Metric]:
    labels = ("workspace", "campaign")
    accepted = GaugeMetricFamily("clarion_deliveries_accepted", "Deliveries accepted.", labels=labels)
    deliveries = GaugeMetricFamily(
        "clarion_deliveries",
        "Deliveries by where they stand; with one another, those accepted.",
        labels=(*labels, "state"),
    )
    imbalance = GaugeMetricFamily(
        "clarion_accounting_imbalance",
        "Accepted minus everything accounted for or in flight: must be 0.",
        labels=labels,
    )
    shown = sorted(accounts, key=lambda name: _weight(accounts[name]), reverse=True)[:CAMPAIGNS_SHOWN]
    for name in shown:
        counts, values = accounts[name], tuple(name.split("/"))
        accepted.add_metric(values, counts.accepted)
        imbalance.add_metric(values, counts.balance)
        for field in fields(Counts)[1:]:
            deliveries.add_metric((*values, field.name), getattr(counts, field.name))
    yield from (accepted, deliveries, imbalance)
    yield _gauge(
        "clarion_campaigns_not_shown", "Campaigns without the metrics above: the quietest.", len(accounts) - len(shown)
    )


def _weight(counts: Counts) -> tuple[bool, bool, int]:
    """What must be seen comes first: a broken account, then what is in flight, then what is large."""
    return counts.balance != 0, counts.in_flight > 0, counts.accepted


def _lanes(lanes: Sequence[Lane]) -> Iterator[Metric]:
    for name, help_text, values in (
        ("batches_waiting", "Batches in no worker's hand, due or not.", [lane.waiting for lane in lanes]),
        ("batches_due", "Batches that a worker could take now.", [lane.due for lane in lanes]),
        ("batches_in_hand", "Batches in a worker's hand.", [lane.in_hand for lane in lanes]),
        (
            "oldest_due_seconds",
            "How long the oldest due batch could have been taken.",
            [_due_s(each) for each in lanes],
        ),
        ("paused", "Whether workers leave it alone.", [int(lane.paused) for lane in lanes]),
    ):
        family = GaugeMetricFamily(f"clarion_lane_{name}", help_text, labels=("lane",))
        for lane, value in zip(lanes, values, strict=True):
            family.add_metric((lane.id,), value)
        yield family


def _due_s(lane: Lane) -> float:
    return lane.oldest_due_age_ms / 1000


def _workers(held: _Held) -> Iterator[Metric]:
    workers = GaugeMetricFamily(
        "clarion_workers", "Workers by state; silent ones gave no sign of life.", labels=("state",)
    )
    for state in WorkerState:
        workers.add_metric((state.value.lower(),), held.workers[state])
    yield workers
    recounts = CounterMetricFamily("clarion_recounts", "Triggers recounted by the sweep.", labels=("result",))
    for result, count in zip(("right", "wrong"), held.recounts, strict=True):
        recounts.add_metric((result,), count)
    yield recounts
