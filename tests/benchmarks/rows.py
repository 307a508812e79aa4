"""Rows: what a measurement says, as a table for people and as JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. `ratio` is value ÷ baseline; a value of None is void, and the note says why."""

    id: str
    value: float | str | None
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """What a row has to reach: its `of` (value or ratio) at least, or at most, `bound`; or else a ratio at most."""

    of: str
    at_least: bool
    bound: float
    or_ratio: float | None = None

    def __str__(self) -> str:
        other = "" if self.or_ratio is None else f" or ratio ≤ {self.or_ratio:g}"
        return f"{'ratio ' if self.of == 'ratio' else ''}{'≥' if self.at_least else '≤'} {self.bound:g}{other}"

    def is_met(self, row: Row) -> bool:
        """Whether the row reaches it; a void row does not."""
        reached = row.ratio if self.of == "ratio" else row.value
        if not isinstance(reached, float | int):
            return False
        if self.or_ratio is not None and row.ratio is not None and row.ratio <= self.or_ratio:
            return True
        return reached >= self.bound if self.at_least else reached <= self.bound


BARS: Mapping[str, Bar] = {
    "accept_unary": Bar("ratio", True, 0.55),
    "accept_batch": Bar("ratio", True, 6),
    "deliver_vs_bare": Bar("ratio", True, 0.6),
    "smpp": Bar("ratio", True, 0.5),
    "smtp_tls": Bar("ratio", True, 0.5),
    "slow_sink": Bar("value", True, 2_000),
    "deliver_vs_obvious": Bar("ratio", True, 30),
    "deliver_vs_celery": Bar("ratio", True, 10),
    "deliver_vs_bullmq": Bar("ratio", True, 4),
    "push_fcm": Bar("ratio", True, 0.5),
    "push_apns": Bar("ratio", True, 0.5),
    "webhook": Bar("ratio", True, 0.5),
    "webhook_slow_endpoint": Bar("value", True, 2_000),
    "rss_drift_mib": Bar("value", False, 10),
    "idle_p50_ms": Bar("value", False, 10),
    "idle_p99_ms": Bar("value", False, 40),
    "lane_p99_ms": Bar("value", False, 150, or_ratio=2),
    "throttle_window_max": Bar("ratio", False, 1.1),
    "throttle_total": Bar("ratio", True, 0.95),
    "burst_cancelled": Bar("value", False, 0),
    "overload_goodput": Bar("ratio", True, 0.8),
    "overload_rss_mib": Bar("value", False, 512),
    "cost_at_200k_vs_2k": Bar("ratio", False, 1.1),
    "redis_bytes_per_delivery": Bar("value", False, 150),
    "redis_bytes_per_unary_trigger": Bar("value", False, 800),
    "dkim_signed": Bar("ratio", True, 15),
}


def compared(row_id: str, unit: str, ours: Sequence[float], base: Sequence[float], note: str = "") -> Row:
    """The medians of interleaved rounds, side by side."""
    value, baseline = median(ours), median(base)
    return Row(id=row_id, value=value, unit=unit, baseline=baseline, ratio=value / baseline, note=note)


def share(ordered: Sequence[float], part: float) -> float:
    """The value that this part of them does not exceed; the smallest come first."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("row", "value", "unit", "baseline", "ratio", "bar", "note"):
        table.add_column(title, justify="right" if title in ("value", "baseline", "ratio") else "left")
    for row in rows:
        bar = BARS.get(row.id)
        verdict = "" if bar is None else f"[green]{bar} met" if bar.is_met(row) else f"[red]{bar} missed"
        value = "[red]void" if row.value is None else _shown(row.value)
        table.add_row(row.id, value, row.unit, _shown(row.baseline), _shown(row.ratio), verdict, f"[dim]{row.note}")
    console.print(table)


def write(rows: Sequence[Row], path: Path) -> None:
    """Write the JSON: a list of {id, value, unit, baseline, ratio}; a note where there is one."""
    path.parent.mkdir(exist_ok=True)
    names = ("id", "value", "unit", "baseline", "ratio")
    listed = [
        {**{name: getattr(row, name) for name in names}, **({"note": row.note} if row.note else {})} for row in rows
    ]
    path.write_text(json.dumps(listed, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _shown(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
