"""Reading the channel configuration's file. A problem is a line with the path of what is wrong; no value is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from clarion_core.configuration.channels import Channels
from clarion_core.configuration.complaints import complaints, listed
from clarion_core.configuration.part import Part, Surroundings

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
        words = f"a mapping with {listed(root.model_fields)}"
        found = complaints(error, root, words)
        raise ChannelsInvalid(path, [f"{place or 'the file'}: {problem}" for place, problem in found]) from None


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
