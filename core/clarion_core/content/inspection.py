"""One template under inspection: what is wrong with it, found when it is saved, not when it is sent.

Nothing is rendered and no expression is evaluated; the largest template that is looked into takes about half a second.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, islice

from jinja2 import TemplateSyntaxError, nodes

from clarion_core.content.compiler import ATTRIBUTES, Missing, missing_names
from clarion_core.content.environment import compile_template, environment
from clarion_core.content.positions import Positions, Role
from clarion_core.content.types import TOO_LARGE, Form, TemplateCheck, TemplateProblem

_TAGS: dict[type[nodes.Node], tuple[str, str]] = {
    nodes.Include: ("include", "a template stands alone"),
    nodes.Import: ("import", "a template stands alone"),
    nodes.FromImport: ("from", "a template stands alone"),
    nodes.Extends: ("extends", "a template stands alone"),
    nodes.ScopedEvalContextModifier: (
        "autoescape",
        "HTML is always escaped; mark trusted markup with the filter `safe`",
    ),
}
_TAGS_OF_A_STRING: dict[type[nodes.Node], tuple[str, str]] = {
    **_TAGS,
    nodes.Block: ("block", "a string of a document is no place to be filled in"),
}
_MOST = 20  # problems reported of one template: more help nobody, and each costs a search for its place
_MOST_TOKENS = 20_000  # the example mail has 500; compiling takes 25 microseconds each
_OFFSET = re.compile(r" at \d+$")  # Jinja's lexer counts characters; the problem says line and column
# What reading or compiling a hostile or huge template can raise besides Jinja's own errors. MemoryError is not for us
# to judge: it may be what was done before that took the memory.
_TOO_MUCH = (RecursionError, SyntaxError, OverflowError, ValueError)


def inspect(template: TemplateCheck) -> list[TemplateProblem]:
    """What is wrong with a template, in the order of its text, at most 20; nothing if it can be sent."""
    return _Inspection(template).problems(frozenset(template.known))


class _Inspection:
    """One template under inspection."""

    def __init__(self, template: TemplateCheck) -> None:
        self.source, self.name, self.path, self.form = template.source, template.name, template.path, template.form
        self.env = environment()
        self.positions = Positions(self.env, template.source, _MOST_TOKENS + 1)

    def problems(self, known: frozenset[str]) -> list[TemplateProblem]:
        """What is wrong, in the order of the template; what does not parse is not looked into further."""
        if len(self.positions.tokens) > _MOST_TOKENS:
            return [self._problem(1, 1, f"holds more than {_MOST_TOKENS:,} words and signs in tags")]
        try:
            found = self._found(self.env.parse(self.source, self.name, self.name), known)
            if not found:
                compile_template(self.source, self.name)
        except TemplateSyntaxError as error:
            message = _OFFSET.sub("", error.message or "can't be read")
            return [self._problem(error.lineno, self.positions.of_error(error.lineno, message), message)]
        except _TOO_MUCH:
            return [self._problem(1, 1, TOO_LARGE)]
        return sorted(found, key=lambda problem: (problem.line, problem.column))

    def _found(self, tree: nodes.Template, known: frozenset[str]) -> list[TemplateProblem]:
        tags = list(islice(self._tags(tree), _MOST))
        # Jinja's compiler, which finds the names, would evaluate the argument of a refused `autoescape`.
        names = () if tags else self._names(tree, known)
        return list(islice(chain(tags, self._filters(tree), self._line_breaks(), names), _MOST))

    def _tags(self, tree: nodes.Template) -> Iterator[TemplateProblem]:
        refused = _TAGS_OF_A_STRING if self.form is Form.JSON else _TAGS
        for node in tree.find_all(tuple(refused)):
            tag, reason = refused[type(node)]
            yield self._problem(
                node.lineno, self.positions.of_text(node.lineno, tag), f"'{tag}' can't be used: {reason}"
            )

    def _filters(self, tree: nodes.Template) -> Iterator[TemplateProblem]:
        kinds: tuple[tuple[type[nodes.Filter] | type[nodes.Test], Role, Collection[str]], ...] = (
            (nodes.Filter, Role.FILTER, self.env.filters),
            (nodes.Test, Role.TEST, self.env.tests),
        )
        for kind, role, available in kinds:
            for node in tree.find_all(kind):
                if node.name not in available:
                    message = f"there is no {role.name.lower()} '{node.name}'" + _hint(node.name, _sayable(available))
                    yield self._problem(node.lineno, self.positions.of(node.lineno, node.name, role), message)

    def _names(self, tree: nodes.Template, known: frozenset[str]) -> Iterator[TemplateProblem]:
        for missing in missing_names(self.env, tree, known):
            column = self.positions.of(missing.line, missing.name, Role.ATTRIBUTE if missing.of else Role.NAME)
            yield self._problem(missing.line, column, _explained(missing, known))

    def _line_breaks(self) -> Iterator[TemplateProblem]:
        if self.form in (Form.LINE, Form.NUMBER) and (place := self.positions.of_line_break()):
            yield self._problem(*place, "this is one line: put line breaks inside tags only")

    def _problem(self, line: int, column: int, message: str) -> TemplateProblem:
        return TemplateProblem(path=self.path, line=line, column=column, message=message)


def _explained(missing: Missing, known: frozenset[str]) -> str:
    if missing.of:
        has = ATTRIBUTES[missing.of]
        hint = _hint(missing.name, has) or f"; it has {', '.join(has)}"
        return f"'{missing.of}' has no '{missing.name}'{hint}"
    return f"'{missing.name}' is not declared in the context{_hint(missing.name, known)}"


def _sayable(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.isidentifier()]


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), 1)
    return f"; did you mean '{close[0]}'?" if close else ""
