"""What a run has to reach, as a table for people and as JSON for scripts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from faults.figures import Figures
from faults.plan import Plan
from faults.points import Moment, Step

KILLS_A_STEP = 5
TAKEOVER_S, FRESH_S = 10.0, 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """A figure and what it has to be; `bar` is empty where it only informs. A `measure` is left out in a short run."""

    what: str
    value: str
    bar: str = ""
    met: bool = True
    measure: bool = False


def rows(figures: Figures, plan: Plan) -> list[Row]:
    """The whole result."""
    found = [*_findings(figures), *_of_kills(figures, plan), *_sizes(figures, plan)]
    return [row for row in found if plan.measured or not row.measure]


def _findings(figures: Figures) -> Iterator[Row]:
    report = figures.report
    yield _none("lost", report.lost)
    yield _none("duplicated, not flagged", report.doubled)
    yield _none("at the sink, owed to nobody", report.stray)
    yield _none("accounts that do not add up", report.unbalanced)
    yield _none("FAILED without a cause", figures.unearned)
    yield _none("ambiguous without a cause", figures.unexplained)
    yield Row("ambiguous attempts", f"{report.ambiguous:,}")
    yield Row("messages sent again, flagged", f"{report.repeated:,}")


def _of_kills(figures: Figures, plan: Plan) -> Iterator[Row]:
    most = max(figures.ambiguous_per_kill, default=0)
    yield Row("ambiguous by one kill, at most", f"{most}", f"≤ {plan.window}", most <= plan.window)
    for what, seconds, bar in (
        ("take-over, at most", figures.takeovers_s, TAKEOVER_S),
        ("fresh work meanwhile, at most", figures.fresh_s, FRESH_S),
    ):
        longest = max(seconds, default=math.inf)
        value = f"{longest:.2f} s (of {len(seconds):,})"
        yield Row(what, value, f"≤ {bar:g} s", longest <= bar, measure=True)


def _sizes(figures: Figures, plan: Plan) -> Iterator[Row]:
    total, fewest = figures.faults.total(), min(kills_of(figures, step) for step in Step)
    yield Row("faults", f"{total:,}", f"≥ {plan.faults:,}", total >= plan.faults)
    yield Row("accepted deliveries", f"{figures.accepted:,}", f"≥ {plan.accepted:,}", figures.accepted >= plan.accepted)
    yield Row("kills of each step, at least", f"{fewest}", f"≥ {KILLS_A_STEP}", fewest >= KILLS_A_STEP, measure=True)


def kills_of(figures: Figures, step: Step) -> int:
    """Kills at a step, at whatever moment."""
    return sum(count for (of, _), count in figures.points.items() if of == step)


def show(figures: Figures, found: Sequence[Row], console: Console) -> None:
    """Print where was killed, what else was done, and the result."""
    points = Table("kills at", *Moment, box=None, pad_edge=False, header_style="bold")
    for step in Step:
        counts = [figures.points[step, moment] for moment in Moment]
        points.add_row(step, *(f"{count}" if count else "[dim]·" for count in counts))
    console.print(points)
    done = ", ".join(f"{what} {fault} {count}" for (what, fault), count in sorted(figures.faults.items()))
    states = ", ".join(f"{state} {count:,}" for state, count in sorted(figures.report.states.items()))
    console.print(f"\nfaults: {done}\ndeliveries: {states}\n", highlight=False)
    table = Table("", "found", "bar", "", box=None, pad_edge=False, header_style="bold")
    for row in found:
        verdict = "" if not row.bar else "[green]met" if row.met else "[red]missed"
        table.add_row(row.what, row.value, row.bar, verdict)
    console.print(table)
    for finding in (*figures.unearned[:10], *figures.unexplained[:10]):
        console.print(finding, highlight=False, soft_wrap=True)
    if not figures.report.closes:
        console.print(repr(figures.report), highlight=False, soft_wrap=True)


def write(figures: Figures, path: Path) -> None:
    """Write the JSON; `takeover_s_max` is null where none was measured, or one never came."""
    takeover = max(figures.takeovers_s, default=math.inf)
    said = {
        "faults": figures.faults.total(),
        "accepted": figures.accepted,
        "lost": len(figures.report.lost),
        "duplicated_unflagged": len(figures.report.doubled),
        "ambiguous": figures.report.ambiguous,
        "ambiguous_per_kill_max": max(figures.ambiguous_per_kill, default=0),
        "takeover_s_max": round(takeover, 3) if math.isfinite(takeover) else None,
        "seed": figures.seed,
    }
    path.write_text(json.dumps(said, indent=2) + "\n", "utf-8")


def _none(what: str, findings: Sequence[str]) -> Row:
    return Row(what, f"{len(findings)}", "0", not findings)
