"""A short cut of `make faults`: a few kills at chosen points and a few faults at random, drawn from a seed."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from faults import bars
from faults.figures import figures
from faults.plan import Plan
from faults.planted import planted
from faults.run import run

pytestmark = pytest.mark.journey


async def test_whatever_breaks_nothing_is_lost_or_doubled_unsaid(tmp_path: Path) -> None:
    seed = secrets.randbelow(1_000_000)
    print(f"seed {seed}")  # noqa: T201
    plan, chosen = Plan.short(), os.environ.get("CLARION_TEST_REDIS_SERVER")
    await run(tmp_path, plan, seed, Path(chosen) if chosen else None)

    found = figures(tmp_path)
    assert found.points.keys() == {(point.step, point.moment) for point in (*plan.points, *plan.take_overs)}
    assert not [row for row in bars.rows(found, plan) if not row.met], found.report
    place = tmp_path / "planted"
    place.mkdir()
    report = planted(tmp_path, place)
    assert (len(report.lost), len(report.doubled)) == (1, 1)
