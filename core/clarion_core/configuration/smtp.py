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
    """An SMTP server; the fields are those of the CLARION_SMTP_* settings."""

    MEDIUM: ClassVar = Medium.EMAIL

    host: Annotated[str, text("a host name or an IP address", min_length=1)]
    port: Annotated[int, Field(ge=1, le=65_535)] = 25
    security: Literal["none", "starttls", "tls"] = "none"
    ca_file: Annotated[FilePath | None, text("the path of a readable PEM file of certificates")] = None
    username: Annotated[str, text("any text, in quotes where YAML takes it for something else")] = ""
    password: Annotated[Secret | None, text(SECRET_WORDS)] = None
    connections: Annotated[int, Field(ge=1, le=1_000)] = 8
    timeout_s: Annotated[float, Field(ge=0.1, le=900)] = 60.0
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
        if bool(self.username) != bool(self.password):
            raise PydanticCustomError(TOLD, "username and password go together")
        if self.username and self.security == "none" and not is_loopback(self.host):
            raise PydanticCustomError(
                TOLD, "username needs TLS, because host is not on this machine; set security to starttls or tls"
            )
        return self
