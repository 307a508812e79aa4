"""What people look after: workers, lanes, open batches and throttles, as they stand at one moment.

These are readings, not records that are changed here: a worker writes its own, the queue is arq's, batches are the
delivery path's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from clarion_core.domain.configuration import configuration_name

SILENT_MS = 5_000  # a worker gives a sign of life every second
LAPSED_MS = 10_000  # by then a take-over or the sweep has come, where anybody is left to come
CRASHES_UNTIL_STUCK = 2  # from here on a batch is worked on one delivery at a time


class WorkerState(StrEnum):
    """Where a worker stands."""

    WORKING = "WORKING"
    DRAINING = "DRAINING"  # finishes what is in flight, takes nothing new, then ends
    SILENT = "SILENT"  # no sign of life for five seconds: dead, standing still, or cut off from the store


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a worker has in hand, and what it gets done."""

    deliveries: int = 0  # in windows that are open: handed over, or about to be, and not recorded
    batches: int = 0
    rate_per_s: float = 0.0  # attempts that came to an outcome, over the last seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What stays the same as long as a worker runs."""

    id: str
    host: str
    pid: int
    version: str
    lanes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker at `now_ms`, by the store's clock."""

    identity: Identity
    load: Load
    start_ms: int
    heartbeat_ms: int
    draining: bool
    now_ms: int

    @property
    def heartbeat_age_ms(self) -> int:
        """How long ago its last sign of life was."""
        return max(0, self.now_ms - self.heartbeat_ms)

    @property
    def state(self) -> WorkerState:
        """A draining worker that stopped giving signs is silent, too."""
        if self.heartbeat_age_ms >= SILENT_MS:
            return WorkerState.SILENT
        return WorkerState.DRAINING if self.draining else WorkerState.WORKING


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A lane at one moment, in batches, over all shards.

    `waiting` are nobody's, due or not; `due` could be taken now, dead workers' among them; `in_hand` are some worker's.
    `oldest_due_age_ms` is how long the oldest of those due could have been taken.
    """

    id: str
    paused: bool
    waiting: int
    due: int
    in_hand: int
    oldest_due_age_ms: int


class BatchState(StrEnum):
    """Where an open batch stands."""

    WAITING = "WAITING"  # for a worker, or for its time
    CLAIMED = "CLAIMED"
    PARKED = "PARKED"  # its campaign is paused
    STUCK = "STUCK"  # it should have moved and has not


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBatch:
    """A batch that is not settled, at `now_ms`.

    `campaign` is workspace/id. `lease_ms` is when its claim ends, 0 while it is nobody's; `queue_ms` is its due time
    in the queue, None where it has no job.
    """

    shard: int
    id: str
    campaign: str
    lane: str
    epoch: int
    worker: str
    lease_ms: int
    queue_ms: int | None
    deliveries: int
    crashes: int
    parked: bool
    now_ms: int

    @property
    def state(self) -> BatchState:
        """Stuck is what nothing moves that ought to: waiting behind others for long is not."""
        if self.parked:
            return BatchState.PARKED
        if self.crashes >= CRASHES_UNTIL_STUCK:
            return BatchState.STUCK
        if self.lease_ms:
            return BatchState.CLAIMED if self.now_ms - self.lease_ms < LAPSED_MS else BatchState.STUCK
        return BatchState.STUCK if self.queue_ms is None else BatchState.WAITING


class ThrottleKind(StrEnum):
    """What a throttle holds back."""

    CAMPAIGN = "campaign"
    CHANNEL = "channel"
    CONFIGURATION = "configuration"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom a limit is for: a campaign; all that leaves by a channel; what leaves by a configuration of the store; or
    what a provider of a configuration gets.

    `within` is the configuration of a provider: one of the store, or, without a `workspace`, the workers' own, by its
    channel. `workspace` is that of a campaign and of a configuration of the store; what is the workers' has none.
    """

    kind: ThrottleKind
    id: str
    workspace: str = ""
    within: str = ""

    @property
    def name(self) -> str:
        """`campaigns/welcome`, `channels/sms`, `channels/sms/providers/main`, `channelConfigurations/orders-sms`,
        `channelConfigurations/orders-sms/providers/main`.
        """
        match self.kind:
            case ThrottleKind.CAMPAIGN | ThrottleKind.CHANNEL:
                return f"{self.kind.value}s/{self.id}"
            case ThrottleKind.CONFIGURATION:
                return configuration_name(self.id)
            case ThrottleKind.PROVIDER:
                whose = configuration_name(self.within) if self.workspace else f"channels/{self.within}"
                return f"{whose}/providers/{self.id}"

    @property
    def limit(self) -> str:
        """What workers and the store call its limit: `campaign:default/welcome`, `channel:sms`, `provider:sms/main`,
        `configuration:default/orders-sms`, `provider:default/orders-sms/main`. No two subjects have the same.
        """
        return f"{self.kind.value}:{'/'.join(filter(None, (self.workspace, self.within, self.id)))}"

    @classmethod
    def of_limit(cls, limit: str) -> Subject:
        """Whom a limit is for."""
        kind, _, path = limit.partition(":")
        *whose, own = path.split("/")
        within = whose.pop() if kind == ThrottleKind.PROVIDER else ""
        return cls(kind=ThrottleKind(kind), id=own, within=within, workspace=whose[0] if whose else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """A limit set while everything runs: it holds in place of the one that was configured, until it is cleared."""

    subject: Subject
    rate_per_s: float
    burst: int  # as many may go at once after a pause
