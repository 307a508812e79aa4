"""Campaigns as files: `campaign.yaml`, and the templates beside it.

The keys are the contract's field names; enum values are lower-case words; `id` is the campaign's id. A template stands
in the file (`subject:`) or beside it (`subject_file:`). What the file leaves out keeps its default.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import yaml
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

from clarion.v1.campaign_pb2 import Campaign, ContextField, EmailContent
from clarion_client.cli import name_forms
from clarion_client.cli.name_forms import NameForm
from clarion_client.cli.problems import BadInput, FileProblem, FilesInvalid

FILE_NAME = "campaign.yaml"
SETTABLE = (
    "display_name",
    "description",
    "category",
    "ambiguity_policy",
    "context",
    "contents",
    "retry_policy",
    "time_to_live_s",
    "throttle",
)
_Descriptor: TypeAlias = Any  # a FieldDescriptor: the stubs have one class for each of its implementations
_TEMPLATES = ("subject", "html", "text")
ValueT = TypeVar("ValueT", bool, int)


class _Loader(yaml.SafeLoader):
    """YAML without dates: a date in a campaign is text in RFC 3339 form."""


_Loader.yaml_implicit_resolvers = {
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignFile:
    """A campaign as read from its directory. `sources` says where the text of a field path stands."""

    path: Path
    campaign_id: str
    campaign: Campaign
    sources: Mapping[str, Source]


def find(directories: Iterable[Path]) -> list[Path]:
    """The campaign files in these directories, or in the directories below them. BadInput where there is none."""
    found: list[Path] = []
    for directory in directories:
        own = directory / FILE_NAME
        files = [own] if own.is_file() else sorted(directory.glob(f"*/{FILE_NAME}"))
        if not files:
            raise BadInput(f"{directory}: no {FILE_NAME} here, nor in a directory below")
        found += files
    return found


def read(path: Path) -> CampaignFile:
    """The campaign that this file describes. FilesInvalid names every problem with its line and column."""
    reader = _Reader(path)
    found = reader.read()
    if reader.problems:
        raise FilesInvalid(reader.problems)
    return found


@dataclass(slots=True)
class _Reader:
    path: Path
    problems: list[FileProblem] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)

    def read(self) -> CampaignFile:
        campaign, campaign_id = Campaign(), ""
        root = self._root()
        if root is not None:
            keys = self._keys(root, ("id", *SETTABLE))
            if "id" in keys:
                campaign_id = self._name(keys.pop("id"), name_forms.CAMPAIGN_ID)
            else:
                self._problem(root, "'id' is missing: the last part of the campaign's name, like order-confirmation")
            self._fill(campaign, keys, "")
        return CampaignFile(path=self.path, campaign_id=campaign_id, campaign=campaign, sources=self.sources)

    def _root(self) -> yaml.Node | None:
        try:
            root = yaml.compose(self.path.read_text("utf-8"), _Loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            self._add(self.path, line, column, f"this is not YAML: {error.problem}")
            return None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise BadInput(f"{self.path}: {error}") from None
        if root is None:
            self._add(self.path, 1, 1, "the file is empty")
        return root

    def _keys(self, node: yaml.Node, known: Iterable[str]) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._problem(node, "this must be a mapping: `key: value` lines")
            return {}
        known, found = list(known), {}
        for key_node, value in node.value:
            key = str(key_node.value)
            if key not in known:
                close = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}"
                self._problem(key_node, f"unknown key '{key}'; {hint}")
            elif key in found:
                self._problem(key_node, f"'{key}' stands here twice")
            found[key] = value
        return {key: value for key, value in found.items() if key in known}

    def _fill(self, message: Message, keys: Mapping[str, yaml.Node], path: str) -> None:
        for key, node in keys.items():
            if _is_null(node):
                continue
            self.sources[path + key] = _place_of(node, self.path)
            descriptor = message.DESCRIPTOR.fields_by_name[key]
            if descriptor.is_repeated:
                self._fill_list(message, descriptor, node, path + key)
            elif descriptor.message_type is not None:
                self._fill_message(getattr(message, key), node, path + key)
            else:
                self._fill_scalar(message, descriptor, node)

    def _fill_list(self, message: Message, descriptor: _Descriptor, node: yaml.Node, path: str) -> None:
        if not isinstance(node, yaml.SequenceNode):
            self._problem(node, f"'{descriptor.name}' must be a list: lines that begin with `- `")
            return
        for index, item in enumerate(node.value):
            self._fill_message(getattr(message, descriptor.name).add(), item, f"{path}[{index}]")

    def _fill_message(self, message: Message, node: yaml.Node, path: str) -> None:
        message.SetInParent()
        self.sources[path] = _place_of(node, self.path)
        if isinstance(message, Value):
            self._fill_value(message, node)
            return
        fields = [each.name for each in message.DESCRIPTOR.fields]
        if isinstance(message, EmailContent):
            keys = self._keys(node, fields + [f"{name}_file" for name in _TEMPLATES])
            self._take_templates(message, keys, path)
        else:
            keys = self._keys(node, fields)
        self._fill(message, keys, f"{path}.")

    def _fill_value(self, message: Value, node: yaml.Node) -> None:
        try:
            ParseDict(_Loader("").construct_object(node, deep=True), message)
        except (ParseError, yaml.YAMLError, ValueError) as error:
            self._problem(node, f"this is not a JSON value: {error}")

    def _take_templates(self, message: EmailContent, keys: dict[str, yaml.Node], path: str) -> None:
        for name in _TEMPLATES:
            node = keys.pop(f"{name}_file", None)
            if node is None:
                continue
            if name in keys:
                self._problem(node, f"give either '{name}' or '{name}_file'")
            file = self.path.parent / self._text(node)
            try:
                text = file.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                self._problem(node, f"{file}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}")
                continue
            setattr(message, name, text.rstrip("\r\n") if name == "subject" else text)
            self.sources[f"{path}.{name}"] = Source(file)

    def _fill_scalar(self, message: Message, descriptor: _Descriptor, node: yaml.Node) -> None:
        if descriptor.enum_type is not None:
            value: Any = self._enum(descriptor, node)
        elif isinstance(message, ContextField) and descriptor.name == "name":
            value = self._name(node, name_forms.CONTEXT_NAME)
        elif descriptor.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            value = self._text(node)
        elif descriptor.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            value = self._constructed(node, bool, "this must be true or false")
        elif descriptor.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
            value = self._number(node)
        else:
            value = self._constructed(node, int, "this must be a whole number")
        try:
            setattr(message, descriptor.name, value)
        except ValueError as error:
            self._problem(node, str(error))

    def _enum(self, descriptor: _Descriptor, node: yaml.Node) -> int:
        values = descriptor.enum_type.values
        prefix = values[0].name.removesuffix("UNSPECIFIED")
        words: dict[str, int] = {each.name.removeprefix(prefix).lower(): each.number for each in values[1:]}
        given = self._text(node).replace("-", "_")
        if given not in words:
            self._problem(node, f"'{descriptor.name}' must be one of {', '.join(words)}")
        return words.get(given, 0)

    def _constructed(self, node: yaml.Node, kind: type[ValueT], otherwise: str) -> ValueT:
        value = _Loader("").construct_object(node, deep=True)
        if type(value) is not kind:
            self._problem(node, otherwise)
            return kind()
        return value

    def _number(self, node: yaml.Node) -> float:
        value = _Loader("").construct_object(node, deep=True)
        if type(value) not in (int, float) or not math.isfinite(value):
            self._problem(node, "this must be a number, like 50 or 0.5")
            return 0.0
        return float(value)

    def _text(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self._problem(node, "this must be text")
        return ""

    def _name(self, node: yaml.Node, form: NameForm) -> str:
        name = self._text(node)
        if isinstance(node, yaml.ScalarNode) and not form.fits(name):
            self._problem(node, form.rule)
        return name

    def _problem(self, node: yaml.Node, message: str) -> None:
        self._add(self.path, node.start_mark.line + 1, node.start_mark.column + 1, message)

    def _add(self, path: Path, line: int, column: int, message: str) -> None:
        self.problems.append(FileProblem(path=path, line=line, column=column, message=message))


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and str(node.tag).endswith(":null")


def _place_of(node: yaml.Node, path: Path) -> Source:
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
