"""What was done, in `faults.jsonl`: a line a fault, and what the wire said of the worker that it struck.

A fault's line has `fault` (kill, stop, restart, cut, full), `what` (worker, server, store) and `time` (monotonic
seconds), and for a killed worker `name`, `open` (deliveries in its open windows: what may be ambiguous now), `perhaps`
(the same, where the store's answer to that was never seen) and `held` (deliveries that waited for it, unopened). A kill
at a chosen point has `step`, `moment` and the `round` it belongs to. Lines without `fault` say what the `seed` was, and
of a worker which deliveries it was `fenced` with and of which it is `unsure`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from support.raw_logs import write_line

FAULTS = "faults.jsonl"


class Journal:
    """Writes the faults down. `count` is how many there were."""

    def __init__(self, directory: Path) -> None:
        self._log = (directory / FAULTS).open("w", encoding="utf-8")
        self.count = 0

    def fault(self, fault: str, what: str, at: float | None = None, **more: Any) -> None:
        """Note a fault that struck at this time, or now."""
        self.count += 1
        write_line(self._log, {"fault": fault, "what": what, "time": time.monotonic() if at is None else at, **more})

    def note(self, **said: Any) -> None:
        """Note what is no fault."""
        write_line(self._log, said)

    def close(self) -> None:
        """Done."""
        self._log.close()
