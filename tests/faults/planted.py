"""Defects planted into the raw logs of a run, so that its own verdict shows whether it would have seen them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from support.ledger_check import Report, check_logs
from support.raw_logs import ACKNOWLEDGED, LEDGER, SINK, read_ledger


def loss(directory: Path, place: Path) -> Report:
    """The verdict where the sink never took one message of a SENT delivery."""
    return _judged(directory, place, lambda lines, at: lines[:at] + lines[at + 1 :])


def double(directory: Path, place: Path) -> Report:
    """The verdict where the sink took it twice."""
    return _judged(directory, place, lambda lines, at: [*lines, lines[at]])


def _judged(directory: Path, place: Path, plant: Callable[[list[str], int], list[str]]) -> Report:
    for name in (ACKNOWLEDGED, LEDGER):
        shutil.copy(directory / name, place / name)
    certain = {
        delivery.message_id.strip("<>")
        for deliveries in read_ledger(directory / LEDGER).deliveries.values()
        for delivery in deliveries
        if not delivery.ambiguous_attempts
    }
    lines = (directory / SINK).read_text("utf-8").splitlines(keepends=True)
    at = next(index for index, line in enumerate(lines) if json.loads(line)["message_id"] in certain)
    (place / SINK).write_text("".join(plant(lines, at)), "utf-8")
    return check_logs(place)
