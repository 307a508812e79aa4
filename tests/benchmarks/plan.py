"""How much is measured: enough to trust it, or `--quick`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes of a run. `directory` is where the processes keep their data and logs."""

    directory: Path
    rounds: int = 5  # of accepting
    accept_s: float = 2.0  # a round and side
    deliveries: int = 50_000  # a round
    deliver_rounds: int = 3
    obvious: int = 3_000
    ceiling: int = 60_000
    idle: int = 400
    outages: int = 5  # of a provider, each longer than the one before
    kept: int = 20_000  # deliveries whose records are weighed
    kept_unary: int = 2_000

    @classmethod
    def quick(cls, directory: Path) -> Plan:
        """A tenth of everything: to see that it works, not to believe it."""
        return cls(
            directory=directory,
            rounds=2,
            accept_s=1.0,
            deliveries=5_000,
            deliver_rounds=1,
            obvious=400,
            ceiling=10_000,
            idle=60,
            outages=1,
            kept=2_000,
            kept_unary=300,
        )
