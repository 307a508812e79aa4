"""Where a word stands in a template: Jinja's tree knows lines, people also want the column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice

from jinja2 import Environment, TemplateSyntaxError

_SILENT = frozenset({"whitespace", "comment", "comment_begin", "comment_end", "raw_begin", "raw_end"})
_QUOTED = re.compile(r"'([^']+)'")


class Role(Enum):
    """What a word is in its expression."""

    NAME = auto()
    ATTRIBUTE = auto()
    FILTER = auto()
    TEST = auto()
    KEYWORD = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the template as it is written. `start` counts from 0, line and column from 1."""

    start: int
    line: int
    column: int
    kind: str
    text: str


class Positions:
    """The first `limit` tokens of one template, as far as Jinja can read it."""

    def __init__(self, env: Environment, source: str, limit: int) -> None:
        self.text = source.replace("\r\n", "\n").replace("\r", "\n")
        self.end = 0
        self.tokens = list(islice((token for token in self._scan(env) if token.kind not in _SILENT), limit))

    def of(self, line: int, text: str, role: Role) -> int:
        """The column of the first such word in a line, else of the line's first tag."""
        for index, token in enumerate(self.tokens):
            if token.line == line and token.text == text and self._role(index) is role:
                return token.column
        return self.of_tag(line)

    def of_text(self, line: int, text: str) -> int:
        """The column of the first token of this text in a line, else of the line's first tag."""
        return next((t.column for t in self.tokens if t.line == line and t.text == text), self.of_tag(line))

    def of_tag(self, line: int) -> int:
        """The column of the first tag that begins in a line, else 1."""
        return next((t.column for t in self.tokens if t.line == line and t.kind.endswith("_begin")), 1)

    def of_error(self, line: int, message: str) -> int:
        """The column that a syntax error in a line is about: where reading stopped, else what the message quotes."""
        stopped_line, column = self.place(self.end)
        if self.end < len(self.text.removesuffix("\n")) and stopped_line == line:
            return column
        columns = {t.text: t.column for t in self.tokens if t.line == line}
        return next((columns[word] for word in _QUOTED.findall(message) if word in columns), self.of_tag(line))

    def of_line_break(self) -> tuple[int, int] | None:
        """Line and column of the first line break outside tags, not counting those around the whole text."""
        first, last = len(self.text) - len(self.text.lstrip()), len(self.text.rstrip())
        for token in self.tokens:
            if token.kind == "data":
                found = self.text.find("\n", max(token.start, first), min(token.start + len(token.text), last))
                if found >= 0:
                    return self.place(found)
        return None

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset."""
        return self.text.count("\n", 0, offset) + 1, offset - self.text.rfind("\n", 0, offset)

    def _scan(self, env: Environment) -> Iterator[Token]:
        start = line_start = 0
        try:
            for line, kind, value in env.lexer.tokeniter(self.text, None):
                # Between two tokens there is only white space that Jinja leaves out, so the next match is the token.
                last, start = start, self.text.index(value, self.end)
                line_start = self.text.rfind("\n", last, start) + 1 or line_start
                self.end = start + len(value)
                yield Token(start, line, start - line_start + 1, kind, value)
        except TemplateSyntaxError:
            return  # the parser reports it

    def _role(self, index: int) -> Role:
        before_last, last, following = (self._text(index + step) for step in (-2, -1, 1))
        if last == ".":
            return Role.ATTRIBUTE
        if last in ("|", "filter"):
            return Role.FILTER
        if last == "is" or (before_last, last) == ("is", "not"):
            return Role.TEST
        return Role.KEYWORD if following == "=" else Role.NAME

    def _text(self, index: int) -> str:
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""
