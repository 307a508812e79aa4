"""Channel configurations between the contract and the domain."""

from __future__ import annotations

from clarion.v1 import campaign_pb2, channel_configuration_pb2
from clarion_core.domain.configuration import Configuration, Finding
from clarion_core.domain.medium import Channel
from clarion_server.convert_campaign import CATEGORIES
from clarion_server.convert_trigger import timestamp
from clarion_server.values import from_struct, to_struct

Proto = channel_configuration_pb2.ChannelConfiguration

_CATEGORIES = {number: category for category, number in CATEGORIES.items()}


def to_configuration(proto: Proto, workspace: str, configuration_id: str) -> Configuration:
    """A configuration as a caller wrote it; e-mail where it names no channel."""
    return Configuration(
        workspace=workspace,
        id=configuration_id,
        channel=Channel(proto.channel) if proto.channel else Channel.EMAIL,
        settings=from_struct(proto.settings),
        category=_CATEGORIES.get(proto.category),
        display_name=proto.display_name,
        description=proto.description,
    )


def from_configuration(configuration: Configuration) -> Proto:
    """A configuration as the contract shows it; without times while it is not stored."""
    category = configuration.category
    return Proto(
        name=configuration.name,
        display_name=configuration.display_name,
        description=configuration.description,
        channel=configuration.channel.value,
        category=CATEGORIES[category] if category else campaign_pb2.Campaign.CATEGORY_UNSPECIFIED,
        settings=to_struct(configuration.settings),
        version=configuration.version,
        etag=configuration.etag,
        create_time=timestamp(configuration.create_ms),
        update_time=timestamp(configuration.update_ms),
    )


def from_finding(finding: Finding) -> channel_configuration_pb2.ProviderFinding:
    """What a test found, as the contract shows it."""
    return channel_configuration_pb2.ProviderFinding(
        provider=finding.provider, kind=finding.kind, ok=finding.ok, detail=finding.detail, took_ms=finding.took_ms
    )
