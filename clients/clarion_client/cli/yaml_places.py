"""YAML with the places of its texts, so that a mistake in one can be shown where it stands."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

QUOTES = "write a template that begins with {{ in quotes"
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)


class Loader(yaml.SafeLoader):
    """YAML without dates: a date in a campaign is text in RFC 3339 form."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a field's text stands: lines and columns of the text count from this place."""

    path: Path
    line: int = 1
    column: int = 1

    def at(self, line: int, column: int) -> tuple[int, int]:
        """The place in the file of a place in the text; 0 and 0 is the text's beginning."""
        return self.line + max(line, 1) - 1, self.column + max(column, 1) - 1


def value_of(node: yaml.Node) -> Any:
    """What a node is in Python. `yaml.YAMLError` or `ValueError` where it is nothing."""
    return Loader("").construct_object(node, deep=True)


def json_of(
    node: yaml.Node,
    path: str,
    file: Path,
    sources: MutableMapping[str, Source],
    complain: Callable[[yaml.Node, str], None],
) -> Any:
    """What a node is as JSON. `sources` is told where each text stands, by the path that the server names it by."""
    sources[path] = place_of(node, file)
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, each in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            if not isinstance(key_node, yaml.ScalarNode) or key in found:
                complain(key_node, f"'{key}' stands here twice" if key in found else f"a key must be text; {QUOTES}")
            found[key] = json_of(each, _of_key(path, key), file, sources, complain)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [json_of(each, f"{path}[{index}]", file, sources, complain) for index, each in enumerate(node.value)]
    value = value_of(node)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("numbers are finite")
    # JSON writes what is beyond 16 bits as two escapes, which YAML takes one by one.
    return value.encode("utf-16", "surrogatepass").decode("utf-16") if isinstance(value, str) else value


def is_null(node: yaml.Node) -> bool:
    """Whether nothing is given."""
    return isinstance(node, yaml.ScalarNode) and str(node.tag).endswith(":null")


def place_of(node: yaml.Node, path: Path) -> Source:
    """Where a node's text begins."""
    line, column = node.start_mark.line + 1, node.start_mark.column + 1
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        first = node.start_mark.buffer
        return Source(path, line + 1, _indent_after(first, node.start_mark.index) + 1)
    quote = 1 if isinstance(node, yaml.ScalarNode) and node.style else 0
    return Source(path, line, column + quote)


def _indent_after(buffer: str | None, index: int) -> int:
    if buffer is None:
        return 0
    following = buffer[index:].split("\n", 2)
    line = following[1] if len(following) > 1 else ""
    return len(line) - len(line.lstrip(" "))


def _of_key(path: str, key: str) -> str:
    return f"{path}.{key}" if _PLAIN_KEY.fullmatch(key) else f"{path}[{json.dumps(key, ensure_ascii=False)}]"
