"""Channel configurations as files: YAML documents, one for each, any number in a file.

The keys are the contract's: `id`, `channel`, `category`, `display_name`, `description`, `settings`. What the settings
may hold is the server's to say; where it finds something wrong is shown in the file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.json_format import ParseDict, ParseError

from clarion.v1.campaign_pb2 import Campaign
from clarion.v1.channel_configuration_pb2 import ChannelConfiguration
from clarion_client import InvalidArgument, Violation
from clarion_client.cli import name_forms
from clarion_client.cli.problems import BadInput, FileProblem, FilesInvalid
from clarion_client.cli.yaml_places import Loader, Source, is_null, json_of

KEYS = ("id", "channel", "category", "display_name", "description", "settings")
CHANNELS = ("email", "sms", "push", "webhook")
_CATEGORY = "CATEGORY_"
_LAST_STEP = re.compile(r"(\.[^.\[\]]+|\[[^\]]*\])$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFile:
    """A configuration as read from a document. `sources` says where what stands at a path begins."""

    path: Path
    configuration_id: str
    configuration: ChannelConfiguration
    sources: Mapping[str, Source]


def read_all(paths: Sequence[Path]) -> list[ChannelFile]:
    """The configurations in these files. FilesInvalid names every problem with its line and column."""
    found: list[ChannelFile] = []
    problems: list[FileProblem] = []
    for path in paths:
        for root in _documents(path, problems):
            reader = _Reader(path, problems)
            if made := reader.read(root):
                if any(each.configuration_id == made.configuration_id for each in found):
                    reader.complain(root, f"'{made.configuration_id}' is described twice")
                found.append(made)
    if problems:
        raise FilesInvalid(problems)
    return found


def file_problems(file: ChannelFile, error: InvalidArgument) -> Iterator[FileProblem]:
    """What the server found wrong, each where it stands; what is missing, where it should stand."""
    for violation in error.violations:
        yield _file_problem(file, violation)


def _file_problem(file: ChannelFile, violation: Violation) -> FileProblem:
    told = violation.field.removeprefix("channel_configuration.")
    path = told
    while path and path not in file.sources:
        path = _LAST_STEP.sub("", path) if _LAST_STEP.search(path) else ""
    source = file.sources.get(path) or file.sources[""]
    below = told.removeprefix(path).lstrip(".")
    message = f"{below} {violation.description}".lstrip()
    return FileProblem(path=file.path, line=source.line, column=source.column, message=message)


def _documents(path: Path, problems: list[FileProblem]) -> list[yaml.Node]:
    try:
        found = [root for root in yaml.compose_all(path.read_text("utf-8"), Loader) if not is_null(root)]
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    except yaml.MarkedYAMLError as error:
        line, column = (error.problem_mark.line, error.problem_mark.column) if error.problem_mark else (0, 0)
        words = f"this is not YAML: {error.problem}"
        problems.append(FileProblem(path=path, line=line + 1, column=column + 1, message=words))
        return []
    except yaml.YAMLError as error:
        raise BadInput(f"{path}: {error}") from None
    if not found:
        problems.append(FileProblem(path=path, line=1, column=1, message="the file is empty"))
    return found


@dataclass(slots=True)
class _Reader:
    path: Path
    problems: list[FileProblem]
    sources: dict[str, Source] = field(default_factory=dict)

    def read(self, root: yaml.Node) -> ChannelFile | None:
        """The configuration of one document; None where nothing can be made of it."""
        self.sources[""] = Source(self.path, root.start_mark.line + 1, root.start_mark.column + 1)
        keys = self._keys(root)
        said = {key: self._json(node, key) for key, node in keys.items() if not is_null(node)}
        for key in ("id", "channel", "settings"):
            if key not in said and keys:
                self.complain(root, f"'{key}' is missing")
        self._check(keys, said)
        configuration_id = said.pop("id", "")
        try:
            configuration = ParseDict(said, ChannelConfiguration())
        except (ParseError, TypeError, ValueError) as error:
            self.complain(root, f"this is no channel configuration: {error}")
            return None
        return ChannelFile(
            path=self.path, configuration_id=configuration_id, configuration=configuration, sources=self.sources
        )

    def complain(self, node: yaml.Node, message: str) -> None:
        """Note a problem at a place."""
        mark = node.start_mark
        self.problems.append(FileProblem(path=self.path, line=mark.line + 1, column=mark.column + 1, message=message))

    def _keys(self, root: yaml.Node) -> dict[str, yaml.Node]:
        if not isinstance(root, yaml.MappingNode):
            self.complain(root, "this must be a mapping: `key: value` lines")
            return {}
        found: dict[str, yaml.Node] = {}
        for key_node, value in root.value:
            key = str(key_node.value)
            if key not in KEYS:
                close = difflib.get_close_matches(key, KEYS, 1)
                hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(KEYS)}"
                self.complain(key_node, f"unknown key '{key}'; {hint}")
            elif key in found:
                self.complain(key_node, f"'{key}' stands here twice")
            else:
                found[key] = value
        return found

    def _json(self, node: yaml.Node, key: str) -> Any:
        try:
            return json_of(node, key, self.path, self.sources, self.complain)
        except (yaml.YAMLError, ValueError) as error:
            self.complain(node, f"this is not a JSON value: {error}")
            return {} if key == "settings" else ""

    def _check(self, keys: Mapping[str, yaml.Node], said: dict[str, Any]) -> None:
        """What would be no value of its field."""
        for key, value in said.items():
            if key == "settings" and not isinstance(value, dict):
                self.complain(keys[key], "this must be a mapping: `key: value` lines")
                said[key] = {}
            elif key != "settings" and not isinstance(value, str):
                self.complain(keys[key], "this must be text")
                said[key] = ""
        if said.get("id") and not name_forms.CONFIGURATION_ID.fits(said["id"]):
            self.complain(keys["id"], name_forms.CONFIGURATION_ID.rule)
        if said.get("channel") and said["channel"] not in CHANNELS:
            self.complain(keys["channel"], f"'channel' must be one of {', '.join(CHANNELS)}")
        if category := said.pop("category", ""):
            known = [name.removeprefix(_CATEGORY).lower() for name in Campaign.Category.keys()[1:]]
            if category not in known:
                self.complain(keys["category"], f"'category' must be one of {', '.join(known)}")
            else:
                said["category"] = _CATEGORY + category.upper()
