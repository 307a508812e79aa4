"""How far a long run got, for whoever watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from clarion_client.cli.output import Output


@contextmanager
def bars(out: Output) -> Iterator[Progress]:
    """Progress bars on stderr, nothing where nobody watches; a task needs a `note`, which stands behind its numbers."""
    columns = (
        TextColumn("{task.description:>13}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out.stderr, disable=not out.is_live) as progress:
        yield progress
