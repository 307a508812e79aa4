"""`clarion trigger --file`: the run as people and scripts see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from clarion.v1.trigger_pb2 import DeliveryCounts
from clarion_client.cli import bulk, views
from clarion_client.cli.exits import Exit
from clarion_client.cli.following import exit_for_counts, follow_all
from clarion_client.cli.output import as_dict, grid, listing
from clarion_client.cli.session import Session

REASONS_SHOWN = 10
_ONWARDS = "run the same command to go on: lines that were accepted are not triggered twice"
_ONWARDS_AGAIN = "a further run with --again begins at the first line"


async def trigger_file(session: Session, campaign: str, path: Path, *, again: bool, watch: bool) -> Exit:
    """Send every line, with `watch` wait for every recipient, and sum up."""
    total = bulk.count_lines(path)
    counts: DeliveryCounts | None = None
    with _progress(session) as progress:
        sending = progress.add_task("triggered", total=total, note="")
        run = bulk.Run(session.clarion, campaign, lambda tally: _sent(session, progress, sending, tally, total))
        session.interrupted = _ONWARDS_AGAIN if again else _ONWARDS
        try:
            await run.send(bulk.read_lines(path, again=again))
        except BaseException:
            session.out.note(f"{run.tally.lines:,} of {total:,} lines were sent before this")
            raise
        if watch:
            counts = await _watched(session, progress, run.tally)
    _sum_up(session, run.tally, counts)
    if counts is not None and exit_for_counts(counts) is not Exit.OK:
        return Exit.REFUSED
    return Exit.REFUSED if run.tally.refused else Exit.OK


@contextmanager
def _progress(session: Session) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description:>13}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=session.out.stderr, disable=not session.out.is_live) as progress:
        yield progress


def _sent(session: Session, progress: Progress, task: TaskID, tally: bulk.Tally, total: int) -> None:
    progress.update(task, completed=tally.lines, note=f"{tally.refused} refused" if tally.refused else "")
    tenth = max(1, total // 10)
    if not session.out.is_live and not session.out.as_json and tally.lines % tenth == 0:
        session.out.note(f"{tally.lines:,} of {total:,} lines, {tally.refused:,} refused")


async def _watched(session: Session, progress: Progress, tally: bulk.Tally) -> DeliveryCounts:
    session.interrupted = "the triggers go on; `clarion triggers list` shows what becomes of them"
    task = progress.add_task("accounted for", total=tally.accepted, note="")
    return await follow_all(session.clarion, tally.triggers, lambda done: progress.update(task, advance=done))


def _sum_up(session: Session, tally: bulk.Tally, counts: DeliveryCounts | None) -> None:
    if session.out.as_json:
        session.out.document(tally.as_dict() | ({"counts": as_dict(counts)} if counts is not None else {}))
        return
    session.out.show(grid(_summary(tally, counts)))
    if tally.reasons:
        session.out.show(_reasons(tally))
    if len(tally.reasons) > REASONS_SHOWN:
        session.out.show(f"and {len(tally.reasons) - REASONS_SHOWN} more reasons: --output json shows all")


def _summary(tally: bulk.Tally, counts: DeliveryCounts | None) -> Iterator[tuple[str, RenderableType]]:
    repeated = f" ({tally.replayed:,} accepted by an earlier run)" if tally.replayed else ""
    yield "lines", f"{tally.lines:,}{repeated}"
    yield "accepted", Text(f"{tally.accepted:,}", "green")
    yield "refused", Text(f"{tally.refused:,}", "red" if tally.refused else "dim")
    if counts is not None:
        yield "deliveries", views.counts_text(counts)


def _reasons(tally: bulk.Tally) -> RenderableType:
    table = listing("COUNT", "FIRST LINE", "FIELD", "REASON", right=("COUNT", "FIRST LINE"))
    for (path, description), count in tally.ranked()[:REASONS_SHOWN]:
        table.add_row(f"{count:,}", str(tally.first_line[path, description]), path, Text(description, "red"))
    return table
