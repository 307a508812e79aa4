"""The kinds of provider: for each, how a channel is opened to it from what the configuration says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clarion_core.configuration.part import Secret
from clarion_core.configuration.smtp import SmtpPart
from clarion_workers.channels import Channel
from clarion_workers.channels.email import EmailChannel, from_part


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What providers are opened with besides their own settings."""

    environment: Mapping[str, str]
    message_id_domain: str

    def secret(self, secret: Secret | None) -> str:
        """What a reference refers to; nothing for none. `KeyError` or `OSError` where it is gone meanwhile."""
        return secret.read(self.environment) if secret else ""


def _smtp(part: SmtpPart, opening: Opening) -> Channel[Any]:
    return EmailChannel(from_part(part, opening.secret(part.password), opening.message_id_domain))


Open = Callable[[Any, Opening], Channel[Any]]

PROVIDERS: Mapping[str, Open] = {
    "smtp": _smtp,
}
"""By the name that a configuration calls the kind."""
