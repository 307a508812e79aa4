"""Amazon SES."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from clarion_core.configuration.authorities import AUTHORITIES, Authorities
from clarion_core.configuration.part import SECRET_WORDS, Part, Secret, text
from clarion_core.configuration.web_address import URL_WORDS, BaseUrl
from clarion_core.domain.medium import Medium


class SesPart(Part):
    """Amazon SES in a region, by its API v2. Temporary credentials have a `session_token` too.

    `configuration_set` says where SES publishes what becomes of messages. Without a `url` it is the region's own.
    """

    MEDIUM: ClassVar = Medium.EMAIL

    region: Annotated[str, text("a region like eu-central-1", pattern=r"^[a-z]{2}(-[a-z]+)+-\d+$")]
    access_key_id: Annotated[str, text("16 to 128 letters and digits", pattern=r"^[A-Za-z0-9]{16,128}$")]
    secret_access_key: Annotated[Secret, text(SECRET_WORDS)]
    session_token: Annotated[Secret | None, text(SECRET_WORDS)] = None
    configuration_set: Annotated[
        str, text("up to 64 letters, digits, hyphens and underscores", pattern=r"^[A-Za-z0-9_-]{0,64}$")
    ] = ""
    identity_arn: Annotated[str, text("an ARN, or nothing", pattern=r"^(arn:[!-~]{1,2000})?$")] = ""
    url: Annotated[BaseUrl | None, text(URL_WORDS)] = None
    ca_file: Annotated[Authorities, AUTHORITIES] = None
    connections: Annotated[int, Field(ge=1, le=1_000)] = 64
    timeout_s: Annotated[float, Field(ge=0.1, le=900)] = 30.0
