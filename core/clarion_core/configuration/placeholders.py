"""Documents with placeholders: trees of mappings, lists and values in which a text may hold `{{to}}` and the like.

Values are put into the tree, never into the text of a document: whatever stands in them, what is encoded afterwards is
valid JSON or a valid form. A text that is one placeholder and no more becomes the value as it is: a number stays one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Value = str | int
Fill = Callable[[Mapping[str, Value]], Any]

_PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_DEEPEST = 20


class NotADocument(ValueError):
    """There is something in it that JSON has no word for, or it is too deep."""


def names(tree: Any) -> set[str]:
    """The placeholders that a document holds."""
    return {name for text in _texts(tree, 0) for name in _PLACEHOLDER.findall(text)}


def prepared(tree: Any) -> Fill:
    """A function that makes the document of values, which must be there for all of its placeholders."""
    if isinstance(tree, dict):
        fields = [(key, prepared(value)) for key, value in tree.items()]
        return lambda values: {key: fill(values) for key, fill in fields}
    if isinstance(tree, list | tuple):
        items = [prepared(value) for value in tree]
        return lambda values: [fill(values) for fill in items]
    if isinstance(tree, str) and "{{" in tree:
        return _prepared_text(tree)
    return lambda _: tree


def _prepared_text(text: str) -> Fill:
    pieces = _PLACEHOLDER.split(text)  # text, name, text, name, …, text
    if len(pieces) == 3 and not pieces[0] and not pieces[2]:
        only = pieces[1]
        return lambda values: values[only]
    return lambda values: "".join(str(values[piece]) if at % 2 else piece for at, piece in enumerate(pieces))


def _texts(tree: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise NotADocument
    if isinstance(tree, dict):
        for key, value in tree.items():
            if not isinstance(key, str):
                raise NotADocument
            yield from _texts(value, depth + 1)
    elif isinstance(tree, list):
        for value in tree:
            yield from _texts(value, depth + 1)
    elif isinstance(tree, str):
        yield tree
    elif not (tree is None or isinstance(tree, bool | int) or (isinstance(tree, float) and abs(tree) < 1e300)):
        raise NotADocument
