"""Errors for people: one block on stderr that says what, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from clarion_client import errors

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


_TO_DO_BY_REASON: Mapping[str, str] = {
    "CONTEXT_INVALID": "give what the campaign declares; `clarion campaigns get` lists it",
    "RECIPIENTS_REFUSED": "correct the recipients above; nothing was stored",
    "CAMPAIGN_NOT_FOUND": "`clarion campaigns list` shows the campaigns of this workspace",
    "TRIGGER_NOT_FOUND": "`clarion triggers list CAMPAIGN` shows what is kept",
    "DELIVERY_NOT_FOUND": "`clarion deliveries list TRIGGER` shows what is kept",
    "CAMPAIGN_EXISTS": "choose another id, or update the campaign with `clarion apply`",
    "REQUEST_ID_REUSED": "send the same content, or another request id",
    "CAMPAIGN_STATE": "`clarion campaigns get` shows the state; activate or resume the campaign if that is meant",
    "TRIGGER_STATE": "`clarion triggers get` shows what became of it",
    "ETAG_MISMATCH": "look at the campaign again, then repeat",
    "CONCURRENT_CHANGE": "repeat the command",
    "OVERLOADED": "try again in a moment",
    "STORE_FULL": "make room in the store, or wait until finished triggers run out",
    "STORE_UNAVAILABLE": "see whether the server's Redis runs, then repeat the command",
    "DRAINING": "repeat the command when the server is back",
}

_TO_DO_BY_CLASS: Mapping[type[errors.ClarionError], str] = {
    errors.Unavailable: "see whether clarion-server runs there; --server or CLARION_SERVER says where",
    errors.DeadlineExceeded: "it may have taken effect: look first, then repeat; --timeout allows more",
    errors.Internal: "report it, with the server's log lines of that id",
}


def error_block(error: errors.ClarionError, *, server: str) -> Text:
    """What was answered, the fields it is about, and what to do."""
    text = _headline(error.message, error.reason or error.code.name)
    for violation in error.violations[:SHOWN]:
        text.append("  where  ", "dim").append(violation.field, "bold").append(f": {violation.description}\n")
    if len(error.violations) > SHOWN:
        text.append(f"         and {len(error.violations) - SHOWN} more\n", "dim")
    for label, value in _facts(error, server):
        text.append(f"  {label:<7}", "dim").append(f"{value}\n")
    return text


def _facts(error: errors.ClarionError, server: str) -> Iterator[tuple[str, str]]:
    if isinstance(error, errors.Unavailable | errors.DeadlineExceeded):
        yield "server", server
    if "request_id" in error.metadata and isinstance(error, errors.Internal):
        yield "log id", error.metadata["request_id"]
    to_do = _TO_DO_BY_REASON.get(error.reason) or _TO_DO_BY_CLASS.get(type(error))
    if to_do:
        yield "to do", to_do


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


def plain_block(message: str, to_do: str = "") -> Text:
    """A complaint of the command line itself."""
    text = _headline(message, "")
    return text.append("  to do  ", "dim").append(f"{to_do}\n") if to_do else text


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
