"""`clarion trigger --file`: the run as people and scripts see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.progress import Progress, TaskID
from rich.text import Text

from clarion.v1.trigger_pb2 import DeliveryCounts
from clarion_client.cli import bulk, views
from clarion_client.cli.exits import Exit
from clarion_client.cli.following import exit_for_counts, follow_all
from clarion_client.cli.output import as_dict, grid, listing
from clarion_client.cli.progress import bars
from clarion_client.cli.session import Session

REASONS_SHOWN = 10
_NOT_TWICE = "lines that were accepted are not triggered twice"


async def trigger_file(session: Session, campaign: str, path: Path, *, run_id: str, check: bool, watch: bool) -> Exit:
    """Trigger every line, or check it; with `watch` wait for every recipient; and sum up.

    `run_id` tells apart runs that trigger the same lines; empty: the run of all who give none.
    """
    total = bulk.count_lines(path)
    if not total:
        session.out.note(f"warning: {path} has no line: nothing to trigger")
    if run_id:
        session.out.note(f"run {run_id}: --run-id {run_id} goes on with it")
    counts: DeliveryCounts | None = None
    with bars(session.out) as progress:
        tally = await _run(session, progress, campaign, path, total=total, run_id=run_id, check=check)
        if watch:
            counts = await _watched(session, progress, tally)
    if session.out.as_json:
        session.out.document(_document(tally, counts, run_id=run_id, check=check))
    else:
        _sum_up(session, tally, counts, check=check)
    return _exit(tally, counts)


async def _run(
    session: Session, progress: Progress, campaign: str, path: Path, *, total: int, run_id: str, check: bool
) -> bulk.Tally:
    done = "checked" if check else "triggered"
    task = progress.add_task(done, total=total, note="")
    run = bulk.Run(
        session.clarion, campaign, lambda tally: _advance(session, progress, task, tally, total, done), check=check
    )
    onwards = f"run the command with --run-id {run_id} to go on" if run_id else "run the same command to go on"
    session.interrupted = "nothing was triggered" if check else f"{onwards}: {_NOT_TWICE}"
    try:
        return await run.send(bulk.read_lines(path, run_id=run_id))
    except BaseException:
        session.out.note(f"{run.tally.triggered:,} of {total:,} lines were {done} before this")
        raise


def _exit(tally: bulk.Tally, counts: DeliveryCounts | None) -> Exit:
    if tally.refused and not tally.accepted:
        return Exit.INVALID
    if counts is not None and exit_for_counts(counts) is not Exit.OK:
        return Exit.REFUSED
    return Exit.REFUSED if tally.refused else Exit.OK


def _advance(session: Session, progress: Progress, task: TaskID, tally: bulk.Tally, total: int, done: str) -> None:
    progress.update(task, completed=tally.lines, note=f"{tally.refused} refused" if tally.refused else "")
    tenth = max(1, total // 10)
    if not session.out.is_live and not session.out.as_json and tally.lines % tenth == 0:
        session.out.note(f"{tally.triggered:,} of {total:,} lines {done}; recipients refused: {tally.refused:,}")


async def _watched(session: Session, progress: Progress, tally: bulk.Tally) -> DeliveryCounts:
    session.interrupted = "the triggers go on; `clarion triggers list` shows what becomes of them"
    task = progress.add_task("accounted for", total=tally.accepted, note="")
    return await follow_all(session.clarion, tally.triggers, lambda done: progress.update(task, advance=done))


def _document(tally: bulk.Tally, counts: DeliveryCounts | None, *, run_id: str, check: bool) -> dict[str, Any]:
    document = tally.as_dict()
    if run_id:
        document["run_id"] = run_id
    if check:
        document["checked"] = True
    if counts is not None:
        document["counts"] = as_dict(counts)
    return document


def _sum_up(session: Session, tally: bulk.Tally, counts: DeliveryCounts | None, *, check: bool) -> None:
    session.out.show(grid(_summary(tally, counts, check=check)))
    if tally.reasons:
        session.out.show(_reasons(tally))
    if len(tally.reasons) > REASONS_SHOWN:
        session.out.show(f"and {len(tally.reasons) - REASONS_SHOWN} more reasons: --output json shows all")


def _summary(tally: bulk.Tally, counts: DeliveryCounts | None, *, check: bool) -> Iterator[tuple[str, RenderableType]]:
    yield "lines", f"{tally.lines:,}" + (" checked, nothing is triggered" if check else "")
    if tally.replayed:
        yield "replayed", f"{tally.replayed:,} lines that an earlier run triggered"
    yield "would accept" if check else "accepted", Text(f"{tally.accepted:,}", "green")
    yield "would refuse" if check else "refused", Text(f"{tally.refused:,}", "red" if tally.refused else "dim")
    if counts is not None:
        yield "deliveries", views.counts_text(counts)


def _reasons(tally: bulk.Tally) -> RenderableType:
    table = listing("COUNT", "FIRST LINE", "FIELD", "REASON", right=("COUNT", "FIRST LINE"))
    for (path, description), count in tally.ranked()[:REASONS_SHOWN]:
        table.add_row(f"{count:,}", str(tally.first_line[path, description]), path, Text(description, "red"))
    return table
