"""How channel configurations look to people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml
from google.protobuf.json_format import MessageToDict
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from clarion.v1.campaign_pb2 import Campaign
from clarion.v1.channel_configuration_pb2 import ChannelConfiguration, ProviderFinding
from clarion_client.cli.output import grid, listing
from clarion_client.cli.views import when, word
from clarion_client.names import short_name


def listed(configurations: Sequence[ChannelConfiguration]) -> Table:
    """One configuration a line."""
    columns = ("CONFIGURATION", "CHANNEL", "CATEGORY", "PROVIDERS", "VERSION", "UPDATED", "NAME")
    table = listing(*columns, right=("VERSION",))
    for each in configurations:
        table.add_row(
            short_name(each.name),
            each.channel,
            _category(each) or "any",
            ", ".join(_providers(each)),
            str(each.version),
            when(each.update_time),
            each.display_name,
        )
    return table


def one(configuration: ChannelConfiguration) -> RenderableType:
    """One configuration, its settings as a file would have them."""
    return grid(_rows(configuration))


def findings(found: Sequence[ProviderFinding]) -> Table:
    """What was found, one provider a line."""
    table = listing("PROVIDER", "KIND", "", "MS", "FOUND", right=("MS",))
    for each in found:
        mark = Text("ok", "green") if each.ok else Text("✗", "red")
        table.add_row(each.provider, each.kind, mark, f"{each.took_ms:,}", each.detail)
    return table


def history(versions: Sequence[ChannelConfiguration]) -> Table:
    """The versions, the newest first, each with what is not as in the one before."""
    table = listing("VERSION", "UPDATED", "CHANGED", right=("VERSION",))
    for each, before in zip(versions, [*versions[1:], None], strict=True):
        if before is None:
            changed = "created" if each.version == 1 else "what was before is not kept"
        else:
            changed = ", ".join(changes(before, each)) or "created again"
        table.add_row(str(each.version), when(each.update_time), changed)
    return table


def changes(before: ChannelConfiguration, after: ChannelConfiguration) -> list[str]:
    """What is not the same: fields, and keys of the settings."""
    fields = [name for name in ("display_name", "description") if getattr(before, name) != getattr(after, name)]
    old, new = MessageToDict(before.settings), MessageToDict(after.settings)
    keys = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    return fields + [f"settings.{key}" for key in keys]


def _rows(each: ChannelConfiguration) -> Iterator[tuple[str, RenderableType]]:
    yield "configuration", Text(short_name(each.name), "bold")
    yield "channel", each.channel
    yield "category", _category(each) or "any"
    if each.display_name:
        yield "name", each.display_name
    if each.description:
        yield "about", each.description
    yield "version", f"{each.version}, updated {when(each.update_time)}"
    settings = yaml.safe_dump(_plain(MessageToDict(each.settings)), sort_keys=False, allow_unicode=True)
    yield "settings", settings.rstrip()


def _plain(value: object) -> object:
    """Whole numbers without a decimal point: a Struct has no others."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _category(each: ChannelConfiguration) -> str:
    return word(Campaign.Category, each.category).lower()


def _providers(each: ChannelConfiguration) -> list[str]:
    found = MessageToDict(each.settings).get("providers", [])
    return [str(provider.get("name", "")) for provider in found if isinstance(provider, dict)]
