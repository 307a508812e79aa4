"""An SMTP server."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from clarion_core.configuration.part import SECRET_WORDS, TOLD, WRONG, FilePath, Part, Secret, surroundings, text
from clarion_core.domain.medium import Medium
from clarion_core.settings import is_loopback


class SmtpPart(Part):
    """An SMTP server; the fields are those of the CLARION_SMTP_* settings, and some more.

    `token`: an OAuth 2 access token instead of a password; it is read anew for each connection, so that whatever renews
    it need only write it there. `per_domain`: so many messages to one recipient domain are handed over at a time.
    `dot_timeout_s`: how long it may take to answer a message as a whole; twice `timeout_s` where nothing is said.
    """

    MEDIUM: ClassVar = Medium.EMAIL

    host: Annotated[str, text("a host name or an IP address", min_length=1)]
    port: Annotated[int, Field(ge=1, le=65_535)] = 25
    security: Literal["none", "starttls", "tls"] = "none"
    ca_file: Annotated[FilePath | None, text("the path of a readable PEM file of certificates")] = None
    username: Annotated[str, text("any text, in quotes where YAML takes it for something else")] = ""
    password: Annotated[Secret | None, text(SECRET_WORDS)] = None
    token: Annotated[Secret | None, text(SECRET_WORDS)] = None
    connections: Annotated[int, Field(ge=1, le=1_000)] = 8
    per_domain: Annotated[int | None, text("a whole number from 1 to 1000", ge=1, le=1_000)] = None
    timeout_s: Annotated[float, Field(ge=0.1, le=900)] = 60.0
    dot_timeout_s: Annotated[float | None, text("a number from 0.1 to 900", ge=0.1, le=900)] = None
    helo: Annotated[
        str, text("a host name, or an IP address in brackets and quotes", pattern=r"^[A-Za-z0-9.\-\[\]:]*$")
    ] = ""

    @field_validator("ca_file")
    @classmethod
    def _holds_certificates(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        try:
            if path is not None and surroundings(info).environment is not None:
                ssl.create_default_context(cafile=path)
        except OSError:  # of which SSLError is one
            raise PydanticCustomError(WRONG, "can't be read") from None
        return path

    @model_validator(mode="after")
    def _credentials_fit(self) -> Self:
        if bool(self.username) != bool(self.password or self.token):
            raise PydanticCustomError(TOLD, "username and password go together")
        if self.password and self.token:
            raise PydanticCustomError(TOLD, "has a password or a token, not both")
        if self.username and self.security == "none" and not is_loopback(self.host):
            raise PydanticCustomError(
                TOLD, "username needs TLS, because host is not on this machine; set security to starttls or tls"
            )
        return self
