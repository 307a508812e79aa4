"""Bringing a CSV file of entries into a list: a thousand lines a call.

A run that broke off is repeated as it is: what is on the list already is kept, and says so.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from clarion.v1.suppression_pb2 import EntryVerdict, Suppression
from clarion_client.cli.list_files import Row
from clarion_client.cli.together import together
from clarion_client.cli.views import word

AT_ONCE = 1_000
CONCURRENCY = 4
CALL_TIMEOUT_S = 60.0
"""A call waits so long for a busy or restarting server before the run ends."""

Send = Callable[[Sequence[Suppression], float], Awaitable[Sequence[EntryVerdict]]]
"""Adds entries within a time; a verdict each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with a line."""

    line: int
    description: str


@dataclass(slots=True)
class ImportTally:
    """What became of the lines so far, in words: added, updated, kept, refused; valid where the run only checks."""

    lines: int = 0
    results: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def refused(self) -> int:
        """How many lines can't be right."""
        return self.results["refused"]

    def note(self, row: Row, verdict: EntryVerdict) -> None:
        """What the server said of a line."""
        self.lines += 1
        self.results[word(EntryVerdict.Result, verdict.result).lower()] += 1
        for violation in verdict.violations:
            self.problems.append(Problem(line=row.line, description=_about(violation.field, violation.description)))

    def refuse(self, row: Row, description: str) -> None:
        """The line was not even sent."""
        self.lines += 1
        self.results["refused"] += 1
        self.problems.append(Problem(line=row.line, description=description))

    def as_dict(self) -> dict[str, Any]:
        """The summary for scripts."""
        return {
            "lines": self.lines,
            **{word: self.results[word] for word in ("added", "updated", "kept", "refused")},
            "elapsed_s": round(time.monotonic() - self.started, 3),
            "problems": [
                {"line": each.line, "description": each.description}
                for each in sorted(self.problems, key=lambda each: each.line)
            ],
        }


class Import:
    """Sends rows, a thousand a call, a few calls at a time."""

    def __init__(self, send: Send, advance: Callable[[ImportTally], None]) -> None:
        self._send, self._advance = send, advance
        self.tally = ImportTally()

    async def run(self, rows: Iterator[Row]) -> ImportTally:
        """What became of all rows. An error that the next call would meet too ends the run and is raised."""
        batches = iter(lambda: list(itertools.islice(rows, AT_ONCE)), [])
        await together(CONCURRENCY, lambda: self._sender(batches))
        return self.tally

    async def _sender(self, batches: Iterator[list[Row]]) -> None:
        for batch in batches:
            await self._send_batch(batch)
            self._advance(self.tally)

    async def _send_batch(self, batch: Sequence[Row]) -> None:
        good = [row for row in batch if not row.problem]
        for row in batch:
            if row.problem:
                self.tally.refuse(row, row.problem)
        if not good:
            return
        verdicts = await self._send([row.entry for row in good], CALL_TIMEOUT_S)
        for row, verdict in zip(good, verdicts, strict=True):
            self.tally.note(row, verdict)


def _about(path: str, description: str) -> str:
    """`suppressions[3].target.address` of a call is the line's `address`."""
    return f"{path.rpartition('.')[2]}: {description}"
