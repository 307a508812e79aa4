"""What a kind of provider tells of itself: how a channel to it is opened, and what it can do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clarion_core.configuration.channels import ChannelPart
from clarion_core.configuration.part import Secret
from clarion_core.domain.medium import Medium
from clarion_workers.channels import Channel
from clarion_workers.channels.sms.inbound import Hears

Lookup = Callable[[str, Sequence[str]], Awaitable[Sequence[bool]]]
"""Which of some e-mail addresses a workspace's lists let be sent to, in order; `ClarionError` where nobody can say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What providers are opened with besides their own settings."""

    environment: Mapping[str, str]
    message_id_domain: str
    channel: ChannelPart | None = None
    """What is told of the channel that the provider is of."""
    provider: str = ""
    """The provider's name in it."""
    scope: str = ""
    """What that name is unique within; empty for a worker's own configuration."""
    hears: Hears | None = None
    """Who takes in what its connections bring."""
    copies: Counter[str] = field(default_factory=Counter)
    """Where copies of e-mails are counted, by how they ended."""
    lookup: Lookup | None = None
    """Where it is found out who may get such copies; without it, everybody may."""

    def secret(self, secret: Secret | None) -> str:
        """What a reference refers to; nothing for none. `KeyError` or `OSError` where it is gone meanwhile."""
        return secret.read(self.environment) if secret else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supports:
    """What a kind of provider can do, in a few words on how; empty where it can't. docs/channels.md is made of it.

    The conformance suite holds it against what a provider's peer was given: a claim that is not so fails.
    """

    idempotency_key: str = ""
    """It takes a second hand-over under the same key for the first one."""
    provider_id: str = ""
    """It answers with an id of its own, which receipts name."""
    expiry: str = ""
    """It is told until when a message is worth delivering."""
    retry_after: str = ""
    """It says how long to wait when it wants less."""
    receipts: str = ""
    """It tells later what became of a message."""
    attachments: str = ""
    """It takes files, or links to media."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKind:
    """A kind of provider. Its name is the key in the registry, and in configurations."""

    title: str
    """As people call it."""
    medium: Medium
    open: Callable[[Any, Opening], Channel[Any]]
    """A channel to it, of its part of the configuration. `KeyError` or `OSError` where a secret is gone meanwhile."""
    supports: Supports
    notes: str = ""
    """What whoever chooses it should know besides: one or two sentences."""
