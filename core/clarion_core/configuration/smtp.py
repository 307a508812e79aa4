"""An SMTP server."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from clarion_core.configuration.authorities import AUTHORITIES, Authorities
from clarion_core.configuration.part import SECRET_WORDS, TOLD, Part, Secret, text
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
    ca_file: Annotated[Authorities, AUTHORITIES] = None
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
