"""Settings of a channel as a document that came through the service: checked by the server, read by the workers.

Whoever may write configurations must not get at whatever a worker can read: secrets are variables whose names begin
with CLARION_SECRET_, and files in one directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from clarion_core import logs
from clarion_core.configuration.channels import ChannelPart, EmailPart, PushPart, SmsPart, WebhooksPart
from clarion_core.configuration.complaints import complaints
from clarion_core.configuration.part import Surroundings
from clarion_core.domain.configuration import Configuration
from clarion_core.domain.errors import FieldProblem
from clarion_core.domain.medium import Channel

log = logs.get(__name__)

PARTS: Mapping[Channel, type[ChannelPart]] = {
    Channel.EMAIL: EmailPart,
    Channel.SMS: SmsPart,
    Channel.PUSH: PushPart,
    Channel.WEBHOOK: WebhooksPart,
}


class SettingsInvalid(Exception):
    """The settings do not fit; `problems` has each with its path, which begins with what was told."""

    def __init__(self, problems: list[FieldProblem]) -> None:
        super().__init__("; ".join(f"{problem.path}: {problem.description}" for problem in problems))
        self.problems = problems


def check(channel: Channel, settings: Mapping[str, object], path: str) -> ChannelPart:
    """The settings as they mean it; what they refer to is not looked for. `SettingsInvalid`."""
    return _read(channel, settings, path, Surroundings(directory=Path(), environment=None, confined=True))


def kept(configuration: Configuration) -> ChannelPart | None:
    """What one of the store says, without a look at what it refers to; None where another release wrote what this one
    can't read.
    """
    try:
        return check(configuration.channel, configuration.settings, "settings")
    except SettingsInvalid as error:
        log.warning("configuration_not_read", configuration=configuration.key, why=str(error))
        return None


def resolve(
    channel: Channel, settings: Mapping[str, object], *, environment: Mapping[str, str], directory: Path
) -> ChannelPart:
    """The settings as they mean it here, with all that they refer to there. `SettingsInvalid`.

    `directory` holds the files of secrets and certificates.
    """
    return _read(channel, settings, "", Surroundings(directory=directory, environment=environment, confined=True))


def _read(channel: Channel, settings: Mapping[str, object], path: str, surroundings: Surroundings) -> ChannelPart:
    part = PARTS[channel]
    try:
        return part.model_validate(settings, context=surroundings)
    except ValidationError as error:
        found = complaints(error, part, "a mapping with providers and the like")
    raise SettingsInvalid(
        [
            FieldProblem(path=".".join(filter(None, (path, place))) or "settings", description=problem)
            for place, problem in found
        ]
    )
