"""Campaigns as files: `campaign.yaml`, and the templates beside it.

The keys are the contract's field names; enum values are lower-case words; `id` is the campaign's id. A template stands
in the file (`subject:`) or beside it (`subject_file:`), a webhook's document too (`body_file:`, YAML or JSON). What the
file leaves out keeps its default.
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
from google.protobuf.struct_pb2 import Struct, Value

from clarion.v1.campaign_pb2 import Campaign, ContextField
from clarion_client.cli import name_forms
from clarion_client.cli.name_forms import NameForm
from clarion_client.cli.problems import BadInput, FileProblem, FilesInvalid
from clarion_client.cli.yaml_places import QUOTES, Loader, Source, is_null, json_of, place_of, value_of

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
# The fields that may stand in a file of their own, by message. A line ends with the file; it has no line end.
_TEMPLATES = {
    "EmailContent": ("subject", "html", "text", "amp"),
    "Attachment": ("data",),
    "SmsContent": ("text",),
    "PushContent": ("title", "body"),
    "WebhookContent": ("body",),
}
_LINES = ("subject", "title")
ValueT = TypeVar("ValueT", bool, int)


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
            text = self.path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{self.path}: {error}") from None
        return self._composed(text, self.path)

    def _composed(self, text: str, file: Path) -> yaml.Node | None:
        try:
            root = yaml.compose(text, Loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            self._add(file, line, column, f"this is not YAML: {error.problem}")
            return None
        except yaml.YAMLError as error:
            raise BadInput(f"{file}: {error}") from None
        if root is None:
            self._add(file, 1, 1, "the file is empty")
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
            if is_null(node):
                continue
            self.sources[path + key] = place_of(node, self.path)
            descriptor = message.DESCRIPTOR.fields_by_name[key]
            if descriptor.message_type is not None and descriptor.message_type.GetOptions().map_entry:
                self._fill_map(message, descriptor, node, path + key)
            elif descriptor.is_repeated:
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
            if descriptor.message_type is None:
                getattr(message, descriptor.name).append(self._text(item))
                self.sources[f"{path}[{index}]"] = place_of(item, self.path)
                continue
            self._fill_message(getattr(message, descriptor.name).add(), item, f"{path}[{index}]")

    def _fill_message(self, message: Message, node: yaml.Node, path: str) -> None:
        message.SetInParent()
        self.sources[path] = place_of(node, self.path)
        if isinstance(message, Value | Struct):
            self._fill_json(message, node, path, self.path)
            return
        templates = _TEMPLATES.get(message.DESCRIPTOR.name, ())
        fields = [each.name for each in message.DESCRIPTOR.fields]
        keys = self._keys(node, fields + [f"{name}_file" for name in templates])
        self._take_templates(message, templates, keys, path)
        for choice in message.DESCRIPTOR.oneofs:
            names = {each.name for each in choice.fields}
            chosen = [key for key in keys if key in names]
            for name in chosen[1:]:
                self._problem(keys[name], f"'{chosen[0]}' stands here already: '{name}' is an item of its own")
        self._fill(message, keys, f"{path}.")

    def _fill_json(self, message: Message, node: yaml.Node, path: str, file: Path) -> None:
        def complain(at: yaml.Node, words: str) -> None:
            self._add(file, at.start_mark.line + 1, at.start_mark.column + 1, words)

        try:
            ParseDict(json_of(node, path, file, self.sources, complain), message)
        except (ParseError, yaml.YAMLError, ValueError, TypeError) as error:
            complain(node, f"this is not a JSON value: {error}")

    def _fill_map(self, message: Message, descriptor: _Descriptor, node: yaml.Node, path: str) -> None:
        if not isinstance(node, yaml.MappingNode):
            self._problem(node, f"'{descriptor.name}' must be a mapping: `name: text` lines")
            return
        texts = getattr(message, descriptor.name)
        for key_node, value in node.value:
            name = self._text(key_node)
            if name in texts:
                self._problem(key_node, f"'{name}' stands here twice")
            texts[name] = self._text(value)
            self.sources[f"{path}.{name}"] = place_of(value, self.path)

    def _take_templates(
        self, message: Message, templates: Iterable[str], keys: dict[str, yaml.Node], path: str
    ) -> None:
        for name in templates:
            node = keys.pop(f"{name}_file", None)
            if node is None:
                continue
            if name in keys:
                self._problem(node, f"give either '{name}' or '{name}_file'")
            file = self.path.parent / self._text(node)
            descriptor = message.DESCRIPTOR.fields_by_name[name]
            try:
                if descriptor.type == FieldDescriptor.TYPE_BYTES:
                    setattr(message, name, file.read_bytes())
                    self.sources[f"{path}.{name}"] = place_of(node, self.path)
                    continue
                text = file.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                self._problem(node, f"{file}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}")
                continue
            if descriptor.message_type is not None:
                self._fill_document(getattr(message, name), text, f"{path}.{name}", file)
                continue
            setattr(message, name, text.rstrip("\r\n") if name in _LINES else text)
            self.sources[f"{path}.{name}"] = Source(file)

    def _fill_document(self, message: Message, text: str, path: str, file: Path) -> None:
        root = self._composed(text, file)
        if root is not None:
            self._fill_json(message, root, path, file)

    def _fill_scalar(self, message: Message, descriptor: _Descriptor, node: yaml.Node) -> None:
        if descriptor.enum_type is not None:
            value: Any = self._enum(descriptor, node)
        elif isinstance(message, ContextField) and descriptor.name == "name":
            value = self._name(node, name_forms.CONTEXT_NAME)
        elif descriptor.type == FieldDescriptor.TYPE_BYTES:
            self._problem(node, f"a file can't stand here; say where it is: '{descriptor.name}_file'")
            return
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
        value = value_of(node)
        if type(value) is not kind:
            self._problem(node, otherwise)
            return kind()
        return value

    def _number(self, node: yaml.Node) -> float:
        value = value_of(node)
        if type(value) not in (int, float) or not math.isfinite(value):
            self._problem(node, "this must be a number, like 50 or 0.5")
            return 0.0
        return float(value)

    def _text(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self._problem(
            node, f"this must be text; {QUOTES}" if isinstance(node, yaml.MappingNode) else "this must be text"
        )
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
