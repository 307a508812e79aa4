"""One run: the stand, the rounds, the mixture, and the ledger at the end. What it leaves is in the directory."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from faults import mixed, steered
from faults.load import Load
from faults.plan import Plan
from faults.stand import Stand


async def run(
    directory: Path, plan: Plan, seed: int, program: Path | None = None, say: Callable[[str], None] = lambda _: None
) -> None:
    """Break it as planned, and write the raw logs. `program` is the store's server where it is not ours."""
    rng = random.Random(seed)
    load = Load(rng, plan.sizes)
    async with Stand(directory, rng, plan.worker_settings, program) as stand:
        stand.journal.note(seed=seed)
        await stand.start(plan.workers)
        say(f"killing at {len(plan.points) + len(plan.take_overs)} chosen points …")
        await steered.run(stand, load, plan, rng)
        say(f"{stand.journal.count} faults, {mixed.accepted(stand):,} deliveries; now at random …")
        await mixed.run(stand, load, plan, rng)
        say(f"{stand.journal.count} faults, {mixed.accepted(stand):,} deliveries; reading the ledger …")
        stand.note_all()
        await stand.dump_ledger()
