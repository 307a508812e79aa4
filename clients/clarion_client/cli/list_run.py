"""`import` and `export` of suppressions and allow lists: the run as people and scripts see it."""

from __future__ import annotations

import csv
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rich.progress import Progress, TaskID
from rich.text import Text

from clarion.v1.suppression_pb2 import AllowedEntry, EntryVerdict, ListTarget, Suppression
from clarion_client.cli.exits import Exit
from clarion_client.cli.list_files import COLUMNS, Defaults, read_rows, write_row
from clarion_client.cli.list_import import Import, ImportTally, Send
from clarion_client.cli.problems import SHOWN, BadInput
from clarion_client.cli.progress import bars
from clarion_client.cli.session import Session
from clarion_client.cli.views import word

_AGAIN = "run the same command to go on: what is on the list already is kept"


async def import_file(session: Session, path: Path, send: Send, defaults: Defaults, *, dry_run: bool) -> Exit:
    """Send every row, or with `dry_run` have it checked; then sum up, with every problem and its line."""
    total = sum(1 for _ in read_rows(path, defaults))
    if not total:
        session.out.note(f"warning: {path} has no line but its first: nothing to import")
    done = "checked" if dry_run else "imported"
    session.interrupted = "nothing was changed" if dry_run else _AGAIN
    with bars(session.out) as progress:
        task = progress.add_task(done, total=total, note="")
        run = Import(send, lambda tally: _advance(session, progress, task, tally, total, done))
        try:
            tally = await run.run(read_rows(path, defaults))
        except BaseException:
            session.out.note(f"{run.tally.lines:,} of {total:,} lines were {done} before this")
            raise
    _sum_up(session, path, tally, dry_run=dry_run)
    if tally.refused:
        return Exit.INVALID if tally.refused == tally.lines else Exit.REFUSED
    return Exit.OK


def _advance(session: Session, progress: Progress, task: TaskID, tally: ImportTally, total: int, done: str) -> None:
    progress.update(task, completed=tally.lines, note=f"{tally.refused} refused" if tally.refused else "")
    if not session.out.is_live and not session.out.as_json:
        session.out.note(f"{tally.lines:,} of {total:,} lines {done}; refused: {tally.refused:,}")


def _sum_up(session: Session, path: Path, tally: ImportTally, *, dry_run: bool) -> None:
    if session.out.as_json:
        session.out.document(tally.as_dict() | ({"checked": True} if dry_run else {}))
        return
    parts = [f"{tally.results[each]:,} {each}" for each in ("added", "updated", "kept", "valid", "refused")]
    told = [part for part in parts if not part.startswith("0 ")] or ["nothing"]
    session.out.done(f"{path}: {', '.join(told)}" + ("; nothing is changed" if dry_run else ""))
    problems = sorted(tally.problems, key=lambda each: each.line)
    for problem in problems[:SHOWN]:
        session.out.note(Text(f"{path}:{problem.line}: {problem.description}"))
    if len(problems) > SHOWN:
        session.out.note(f"and {len(problems) - SHOWN:,} more problems: --output json shows all")


async def export(
    session: Session, found: Sequence[AsyncIterator[Suppression] | AsyncIterator[AllowedEntry]], to: Path | None
) -> None:
    """Write every entry as CSV, to a file or to standard output, and say how many there are."""
    count = 0
    with _opened(to) as file, session.out.waiting("exported: 0") as tell:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for entries in found:
            async for entry in entries:
                write_row(writer, entry)
                count += 1
                if count % 1_000 == 0:
                    tell(f"exported: {count:,}")
    session.out.note(f"{count:,} entries exported" + (f" to {to}" if to else ""))


@contextmanager
def _opened(to: Path | None) -> Iterator[TextIO]:
    if to is None:
        yield sys.stdout
        return
    try:
        with to.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise BadInput(f"{to}: {error.strerror}") from None


def verdicts(session: Session, targets: Sequence[ListTarget], found: Sequence[EntryVerdict]) -> Exit:
    """Say what became of each item; REFUSED where one was, INVALID where all were."""
    document = []
    for target, verdict in zip(targets, found, strict=True):
        result = word(EntryVerdict.Result, verdict.result).lower()
        why = "; ".join(violation.description for violation in verdict.violations)
        document.append({"channel": target.channel, "value": value_of(target), "result": result, "why": why})
        session.out.done(f"{value_of(target)}: {result.replace('_', ' ')}" + (f": {why}" if why else ""))
    if session.out.as_json:
        session.out.document(document)
    refused = sum(verdict.result == EntryVerdict.RESULT_REFUSED for verdict in found)
    if refused:
        return Exit.INVALID if refused == len(found) else Exit.REFUSED
    return Exit.OK


def value_of(target: ListTarget) -> str:
    """What an entry names, as the command line writes it: `@example.com` is a domain."""
    return f"@{target.domain}" if target.WhichOneof("kind") == "domain" else target.address
