"""Errors for people: one block on stderr that says what, where, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from clarion_client import errors
from clarion_client.cli.to_do import to_do

SHOWN = 20
"""Fields, or places in files, that one block shows at most."""
CLIP = 90
"""Characters of a source line that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProblem:
    """Something wrong at a place in a file. Line and column count from 1."""

    path: Path
    line: int
    column: int
    message: str


class FilesInvalid(Exception):
    """Files that can't be used as they are; `problems` says where."""

    def __init__(self, problems: Sequence[FileProblem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = tuple(problems)


class BadInput(Exception):
    """Input that can't be right: an argument, a line, a value. The message says what and where."""


def error_block(error: errors.ClarionError, *, server: str, command: str) -> Text:
    """What was answered, the fields it is about, and what to do now that this command met it."""
    if isinstance(error, errors.Unavailable) and not error.reason:  # so it came from the connection
        return plain_block(f"no server answers at {server} ({_cause(error.message)})", to_do(error, command))
    text = _headline(error.message, error.reason or error.code.name)
    # A state or a quota is in the message already: only fields have a place.
    places = error.violations if isinstance(error, errors.InvalidArgument) else ()
    for place in places[:SHOWN]:
        if f"{place.field}: {place.description}" != error.message:
            text.append("  where  ", "dim").append(place.field, "bold").append(f": {place.description}\n")
    if more := _count(error) - len(places[:SHOWN]):
        text.append(f"         and {more} more\n", "dim")
    for label, value in _facts(error, server, command):
        text.append(f"  {label:<7}", "dim").append(f"{value}\n")
    return text


def _count(error: errors.ClarionError) -> int:
    """How many fields are wrong: the server says it where an error can't hold them all."""
    if not isinstance(error, errors.InvalidArgument):
        return 0
    told = error.metadata.get("violations", "")
    return int(told) if told.isdecimal() else len(error.violations)


def _cause(message: str) -> str:
    """The last words of gRPC: `…: connect: Connection refused (111)` → `connection refused`."""
    words = re.sub(r" \(\d+\)$", "", message.rpartition(": ")[2])
    return words[:1].lower() + words[1:]


def _facts(error: errors.ClarionError, server: str, command: str) -> Iterator[tuple[str, str]]:
    if isinstance(error, errors.Unavailable | errors.DeadlineExceeded):
        yield "server", server
    if "request_id" in error.metadata and isinstance(error, errors.Internal):
        yield "log id", error.metadata["request_id"]
    if hint := to_do(error, command):
        yield "to do", hint


def file_block(problem: FileProblem) -> Text:
    """`file:line:column`, what is wrong, the source line, and a caret under the place."""
    text = _headline(f"{problem.path}:{problem.line}:{problem.column}: {problem.message}", "")
    source, column = _clipped(_source_line(problem), problem.column)
    if source:
        gutter = f"  {problem.line} | "
        before = "".join(char if char == "\t" else " " for char in source[: column - 1])
        text.append(gutter, "dim").append(f"{source}\n")
        text.append(" " * (len(gutter) - 2) + "| ", "dim").append(f"{before}^\n", "bold red")
    return text


def plain_block(message: str, hint: str = "") -> Text:
    """A complaint of the command line itself, and what to do."""
    text = _headline(message, "")
    return text.append("  to do  ", "dim").append(f"{hint}\n") if hint else text


def _headline(message: str, reason: str) -> Text:
    text = Text("error: ", "bold red").append(message, "default")
    return text.append(f" ({reason})\n", "dim") if reason else text.append("\n")


def _source_line(problem: FileProblem) -> str:
    try:
        lines = problem.path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return ""
    return lines[problem.line - 1].rstrip("\r") if 0 < problem.line <= len(lines) else ""


def _clipped(source: str, column: int) -> tuple[str, int]:
    """A stretch of a long line that holds the column, and the column in it."""
    start = max(0, column - CLIP // 2) if len(source) > CLIP else 0
    return source[start : start + CLIP], column - start
