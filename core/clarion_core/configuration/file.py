"""Reading the channel configuration's file. A problem is a line with the path of what is wrong; no value is shown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from clarion_core.configuration.channels import Channels, ProviderPart
from clarion_core.configuration.part import TOLD, Part, Surroundings
from clarion_core.settings import allowed

PartT = TypeVar("PartT", bound=Part)


class ChannelsInvalid(Exception):
    """The file does not fit; one line a problem."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        self.lines = [f"{path}: {problem}" for problem in problems]
        super().__init__("\n".join(self.lines))


def read(path: Path, environment: Mapping[str, str] | None = None) -> Channels:
    """The channel configuration in this file; `ChannelsInvalid` names all that is wrong with it.

    With an environment, what the file refers to (passwords, certificates) must be there too.
    """
    return read_as(Channels, path, environment)


def read_as(root: type[PartT], path: Path, environment: Mapping[str, str] | None = None) -> PartT:
    """The same for a file of another form."""
    try:
        document = yaml.load(path.read_bytes(), _Loader)  # noqa: S506 (a SafeLoader)
        surroundings = Surroundings(directory=path.absolute().parent, environment=environment)
        return root.model_validate(document, context=surroundings)
    except OSError as error:
        raise ChannelsInvalid(path, [f"can't be read: {error.strerror}"]) from None
    except yaml.YAMLError as error:
        raise ChannelsInvalid(path, [_not_yaml(error)]) from None
    except ValidationError as error:
        raise ChannelsInvalid(path, [_complaint(root, problem) for problem in error.errors()]) from None


class _Loader(yaml.SafeLoader):
    """YAML in which a key is text and stands once: PyYAML by itself takes the last one and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping (yaml)."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and keys.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} stands here twice", key.start_mark)
        made = super().construct_mapping(node, deep)
        if not all(isinstance(key, str) for key in made):
            raise yaml.constructor.ConstructorError(None, None, "a key is no text", node.start_mark)
        return made


def _not_yaml(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return "this is not YAML"
    mark = error.problem_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: this is not YAML as we read it: {error.problem}"


def _complaint(root: type[Part], problem: ErrorDetails) -> str:
    """One problem as a line: the path, what is wrong, what may stand there."""
    place, words, known = _place(root, problem["loc"])
    if problem["type"] == TOLD:
        return f"{place}: {problem['msg']}"
    if problem["type"] == "missing":
        return f"{place}: is missing; must be {words}"
    if problem["type"] == "extra_forbidden":
        return f"{place}: {_unknown(str(problem['loc'][-1]), known)}"
    return f"{place}: must be {words}"


def _unknown(key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return "is not known here; " + (f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}")


def _place(root: type[Part], loc: Sequence[str | int]) -> tuple[str, str, Sequence[str]]:
    """A place in the file: its path, what may stand there in words, and the keys that are known beside it."""
    path, words = "", f"a mapping with {_listed(root.model_fields)}"
    part: type[BaseModel] | None = root
    field: FieldInfo | None = None
    known: Sequence[str] = ()
    for step in loc:
        if isinstance(step, int):
            path += f"[{step}]"
            words = _element(part, field, words)
            continue
        path += f".{step}" if path else step
        known = list(part.model_fields) if part else ()
        field = part.model_fields.get(step) if part else None
        words = allowed(field) if field else words
        part = _part(field.annotation) if field else None
    return path or "the file", words, known


def _element(part: type[BaseModel] | None, field: FieldInfo | None, words: str) -> str:
    """What an element of a list must be; where it is neither a mapping nor text, `words` say so of the whole list."""
    if part is None:
        return "text" if field and get_args(field.annotation) == (str,) else words
    keys = "name and what kind it is" if issubclass(part, ProviderPart) else _listed(part.model_fields, "and")
    return f"a mapping with {keys}"


def _listed(names: Iterable[str], before_last: str = "or") -> str:
    *most, last = names
    return f"{', '.join(most)} {before_last} {last}" if most else last


def _part(annotation: Any) -> type[BaseModel] | None:
    """The mapping that a field holds, by itself, in a list, or perhaps."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_part, get_args(annotation))), None)
