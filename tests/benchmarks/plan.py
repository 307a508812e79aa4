"""How much is measured: enough to trust it, or `--quick`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes of a run. `directory` is where the processes keep their data and logs."""

    directory: Path
    rounds: int = 5  # of accepting
    accept_s: float = 2.0  # a round and side
    warm: int = 10_000  # deliveries before memory is looked at
    deliveries: int = 40_000  # a round
    deliver_rounds: int = 5
    far_rounds: int = 3  # with TLS, and to a slow sink
    bare: int = 20_000
    obvious: int = 3_000
    peer_rounds: int = 3
    beside: int = 20_000  # deliveries of Clarion a round beside its peers
    peers: Mapping[str, int] = field(default_factory=lambda: {"celery": 3_000, "bullmq": 6_000})  # 5 s or more a round
    ceiling: int = 60_000
    idle: int = 400
    lane: int = 400
    lane_backlog: int = 200_000
    throttle_s: float = 30.0
    burst: int = 5_000
    peak_s: float = 5.0
    overload_s: float = 60.0
    cost_rounds: int = 5
    cost_backlog: int = 200_000
    cost_few: int = 2_000
    outages: int = 5  # of a provider, each longer than the one before
    push: int = 10_000  # notifications a round
    push_rounds: int = 5
    webhooks: int = 10_000  # calls a round
    webhook_rounds: int = 5
    kept: int = 20_000  # deliveries whose records are weighed
    signed: int = 1_500  # messages a round
    texts: int = 40_000  # messages a round
    text_rounds: int = 5

    @classmethod
    def quick(cls, directory: Path) -> Plan:
        """A tenth of everything: to see that it works, not to believe it."""
        return cls(
            directory=directory,
            rounds=2,
            accept_s=1.0,
            warm=1_000,
            deliveries=4_000,
            deliver_rounds=1,
            far_rounds=1,
            bare=4_000,
            obvious=400,
            peer_rounds=1,
            beside=4_000,
            peers={"celery": 500, "bullmq": 1_000},
            ceiling=10_000,
            idle=60,
            lane=60,
            lane_backlog=20_000,
            throttle_s=5.0,
            burst=1_500,
            peak_s=2.0,
            overload_s=6.0,
            cost_rounds=1,
            cost_backlog=20_000,
            cost_few=1_000,
            outages=1,
            push=2_000,
            push_rounds=2,
            webhooks=2_000,
            webhook_rounds=2,
            kept=2_000,
            signed=150,
            texts=4_000,
            text_rounds=1,
        )
