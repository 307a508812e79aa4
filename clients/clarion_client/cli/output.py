"""Where results go: tables for people, protobuf JSON for scripts, and everything else to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

MessageT = TypeVar("MessageT", bound=Message)
_WIDE = 10_000  # nothing is cut or wrapped where no terminal sets the width


def as_dict(message: Message) -> dict[str, Any]:
    """Protobuf JSON with the contract's field names; fields with their default value are written too."""
    document: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return document


def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(stderr=stderr, width=width, highlight=False, emoji=False, markup=False)


class Output:
    """Writes a command's results."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.stdout = _console(stderr=False)
        self.stderr = _console(stderr=True)

    @property
    def is_live(self) -> bool:
        """Whether a person watches: progress bars and live tables make sense."""
        return self.stderr.is_terminal and not self.as_json

    def message(self, message: MessageT, view: Callable[[MessageT], RenderableType]) -> None:
        """One resource."""
        if self.as_json:
            self.document(as_dict(message))
        else:
            self.show(view(message))

    async def messages(
        self,
        found: AsyncIterator[MessageT],
        view: Callable[[Sequence[MessageT]], RenderableType],
        *,
        limit: int,
        nothing: str,
    ) -> None:
        """A list of resources, the first `limit` of them; 0: all."""
        items = [item async for item in _first(found, limit)]
        if self.as_json:
            self.document([as_dict(item) for item in items])
        elif items:
            self.show(view(items))
        else:
            self.note(nothing)

    def document(self, document: Any) -> None:
        """One JSON document."""
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")

    def json_line(self, document: Any) -> None:
        """One line of a stream of JSON documents, at once."""
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def show(self, result: RenderableType) -> None:
        """A result for people. A table that is wider than the terminal keeps its lines whole: ids stay copyable."""
        soft_wrap = isinstance(result, Table) and result.show_header
        if soft_wrap:
            needed = Measurement.get(self.stdout, self.stdout.options.update(width=_WIDE), result).maximum
            self.stdout.width = max(needed, self.stdout.width)
        if self.stdout.is_terminal or not isinstance(result, Table):
            self.stdout.print(result, soft_wrap=soft_wrap)
        else:
            self._without_padding(result, soft_wrap=soft_wrap)

    def _without_padding(self, table: Table, *, soft_wrap: bool) -> None:
        """Cells are filled up to their column's width, which nobody needs at the end of a line in a file."""
        with self.stdout.capture() as captured:
            self.stdout.print(table, soft_wrap=soft_wrap)
        self.raw("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))

    def raw(self, text: str) -> None:
        """A result as it is."""
        sys.stdout.write(text)

    def done(self, text: str | Text) -> None:
        """A line that says what was done; scripts that asked for JSON get the document instead."""
        if not self.as_json:
            self.stdout.print(text)

    def say(self, text: str | Text, document: Any) -> None:
        """What was done: a line for people, a document for scripts."""
        if self.as_json:
            self.document(document)
        self.done(text)

    @contextmanager
    def waiting(self, text: str) -> Iterator[Callable[[str], None]]:
        """While a person watches, say what is going on; it can be said anew."""
        if not self.is_live:
            yield lambda _: None
            return
        with self.stderr.status(text) as status:
            yield status.update

    def note(self, text: str | Text) -> None:
        """A line beside the result, on stderr."""
        self.stderr.print(text)

    def complain(self, block: Text) -> None:
        """An error block on stderr."""
        self.stderr.print(block, end="")


async def _first(found: AsyncIterator[MessageT], limit: int) -> AsyncIterator[MessageT]:
    count = 0
    async for item in found:
        yield item
        count += 1
        if count == limit:
            return


def grid(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    """Label and value, a line each."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in rows:
        table.add_row(label, value)
    return table


def listing(*columns: str, right: Sequence[str] = ()) -> Table:
    """An empty table with these headings; those in `right` hold numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True, justify="right" if column in right else "left")
    return table
