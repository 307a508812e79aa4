"""A JSON document whose strings are templates, as one template: what it renders is JSON whatever the values are.

The document's own signs are text; a string is rendered and then written as a JSON string; a string that is one
expression alone is written as the value that it has. The trees of the strings are put together, not their texts, so
that each means what it means alone: nothing in one can end another, or reach the signs between them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from jinja2 import Environment, Template, Undefined, nodes

# Filters that no template can name: a name has no blanks.
AS_STRING, AS_VALUE = "as a JSON string", "as a JSON value"

STRIDE = 1_000_000
"""Lines between two strings in the numbering of the one template: more than any has."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A string of a document: its path, like `webhook.body.order.lines[0]`, and its template."""

    name: str
    source: str


def leaves(document: object, name: str) -> Iterator[Leaf]:
    """The strings of a document in order; keys are none."""
    match document:
        case str():
            yield Leaf(name, document)
        case Mapping():
            for key, value in document.items():
                yield from leaves(value, _of_key(name, str(key)))
        case list() | tuple():
            for index, value in enumerate(document):
                yield from leaves(value, f"{name}[{index}]")


def compile_document(env: Environment, document: object, name: str) -> Template:
    """The document as one template. Lines of its n-th string are counted from n × `STRIDE` on."""
    tree = nodes.Template(list(_merged(_Builder(env, name).nodes_of(document))), lineno=1)
    tree.set_environment(env)
    return Template.from_code(env, env.compile(tree, name, name), env.globals)


def json_text(value: object) -> str:
    """A value as JSON. Dates are RFC 3339; what has no JSON form raises `TypeError` or `ValueError`."""
    return _encode(value)


class _Builder:
    """Writes the statements that render a document."""

    def __init__(self, env: Environment, name: str) -> None:
        self._env, self._name = env, name
        self._count = 0

    def nodes_of(self, document: object) -> Iterator[str | nodes.Stmt]:
        """Text that is the same for everybody, and statements for what is not."""
        match document:
            case str():
                yield self._string(document)
                self._count += 1
            case Mapping():
                yield "{"
                for index, (key, value) in enumerate(document.items()):
                    yield ("," if index else "") + json_text(str(key)) + ":"
                    yield from self.nodes_of(value)
                yield "}"
            case list() | tuple():
                yield "["
                for index, value in enumerate(document):
                    yield "," if index else ""
                    yield from self.nodes_of(value)
                yield "]"
            case _:
                yield json_text(document)

    def _string(self, source: str) -> str | nodes.Stmt:
        body = self._env.parse(source, self._name, self._name).body
        if not body:
            return '""'
        for statement in body:
            for node in (statement, *statement.find_all(nodes.Node)):
                node.lineno = (node.lineno or 0) + self._count * STRIDE
        if len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1:
            [only] = body[0].nodes
            if isinstance(only, nodes.TemplateData):
                return json_text(only.data)
            return nodes.Output([_filter(only, AS_VALUE)], lineno=only.lineno)
        return nodes.FilterBlock(body, _filter(None, AS_STRING), lineno=body[0].lineno)


def _filter(node: nodes.Expr | None, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None)


def _merged(found: Iterable[str | nodes.Stmt]) -> Iterator[nodes.Stmt]:
    text = ""
    for each in found:
        if isinstance(each, str):
            text += each
            continue
        if text:
            yield nodes.Output([nodes.TemplateData(text)], lineno=each.lineno)
        text = ""
        yield each
    if text:
        yield nodes.Output([nodes.TemplateData(text)], lineno=1)


def _of_key(name: str, key: str) -> str:
    return f"{name}.{key}" if _PLAIN_KEY.fullmatch(key) else f"{name}[{json_text(key)}]"


def _plain(value: object) -> object:
    if isinstance(value, Undefined):
        return str(value)  # raises, as every use of a missing value does
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Iterator):  # what filters like `map` give
        return list(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain).encode
