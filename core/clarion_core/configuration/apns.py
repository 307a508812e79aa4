"""Apple Push Notification service."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from clarion_core.configuration.authorities import AUTHORITIES, Authorities
from clarion_core.configuration.keys import check_secret, p256_key
from clarion_core.configuration.part import Part, Secret, text
from clarion_core.configuration.web_address import URL_WORDS, BaseUrl
from clarion_core.domain.medium import Medium

SERVERS = {"production": "https://api.push.apple.com", "development": "https://api.sandbox.push.apple.com"}
"""By environment ("Sending notification requests to APNs"): a token of the one is unknown to the other."""

_TEN = r"^[A-Z0-9]{10}$"


class ApnsPart(Part):
    """APNs over HTTP/2: an app, and the team's key that may send to it."""

    MEDIUM: ClassVar = Medium.APNS

    key: Annotated[Secret, text("where the .p8 key is: {env: NAME} or {file: path}")]
    key_id: Annotated[str, text("10 capital letters and digits", pattern=_TEN)]
    team_id: Annotated[str, text("10 capital letters and digits", pattern=_TEN)]
    topic: Annotated[str, text("the app's bundle id", pattern=r"^[A-Za-z0-9][A-Za-z0-9.\-]{0,254}$")]
    environment: Literal["production", "development"] = "production"
    url: Annotated[BaseUrl | None, text(URL_WORDS)] = None
    """None: Apple's server for the environment."""
    ca_file: Annotated[Authorities, AUTHORITIES] = None
    connections: Annotated[int, Field(ge=1, le=64)] = 2
    in_flight: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Requests without an answer, over all connections."""
    timeout_s: Annotated[float, Field(ge=0.1, le=900)] = 30.0

    @property
    def server(self) -> str:
        """The URL that is meant."""
        return self.url or SERVERS[self.environment]

    @field_validator("key")
    @classmethod
    def _is_on_p256(cls, secret: Secret, info: ValidationInfo) -> Secret:
        return check_secret(secret, info, p256_key)
