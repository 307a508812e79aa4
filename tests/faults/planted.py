"""A loss and a double planted into the raw logs of a run: its own verdict shows whether it would have seen them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from support.ledger_check import Report, check_logs
from support.raw_logs import ACKNOWLEDGED, LEDGER, SINK, lines_of


def planted(directory: Path, place: Path) -> Report:
    """The verdict where the sink had never taken one message of this run, and had taken another one twice."""
    lost, doubled = islice(_sent_for_sure(directory / LEDGER), 2)
    for name in (ACKNOWLEDGED, LEDGER):
        shutil.copy(directory / name, place / name)
    with (directory / SINK).open(encoding="utf-8") as found, (place / SINK).open("w", encoding="utf-8") as changed:
        for line in found:
            message_id = json.loads(line)["message_id"]
            changed.write(line * {lost: 0, doubled: 2}.get(message_id, 1))
    return check_logs(place)


def _sent_for_sure(ledger: Path) -> Iterator[str]:
    """Message-IDs of deliveries that were sent without a doubt."""
    for line in lines_of(ledger):
        delivery = line.get("delivery", {})
        if delivery.get("state") == "STATE_SENT" and not delivery.get("ambiguousAttempts"):
            yield delivery["messageId"].strip("<>")
