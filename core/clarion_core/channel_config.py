"""The channel configuration: what may stand in its file. `channel_file` reads it.

Passwords never stand in the file: it names the variable or the file that holds one. Paths are relative to the file.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from clarion_core.domain.campaign import RetryPolicy, Throttle
from clarion_core.domain.channel import ChannelConfiguration, Provider, Routing
from clarion_core.settings import is_loopback

TOLD, WRONG = "told", "wrong"
"""Our own kinds of problems: one that brings its words, and one that the field's own words describe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a file refers to: its directory, and the environment that holds passwords.

    Without an environment, what the file refers to is not looked for: it may be on another machine.
    """

    directory: Path
    environment: Mapping[str, str] | None


def _text(allowed: str, **rules: Any) -> Any:
    """A field that holds text or a mapping: what may stand there, in words that complaints use."""
    return Field(json_schema_extra={"allowed": allowed}, **rules)


def _beside_the_file(value: object, info: ValidationInfo) -> object:
    return _surroundings(info).directory / value if isinstance(value, str) else value


def _surroundings(info: ValidationInfo) -> Surroundings:
    return info.context if isinstance(info.context, Surroundings) else Surroundings(directory=Path(), environment=None)


_Path = Annotated[Path, BeforeValidator(_beside_the_file)]
_RETRY = RetryPolicy()
_THROTTLE = _text("a mapping with rate_per_s and burst")


class Part(BaseModel):
    """A mapping in the file: no key but those that are known, no value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class ThrottlePart(Part):
    """An upper bound."""

    rate_per_s: Annotated[float, Field(ge=0.01, le=1_000_000)]
    burst: Annotated[int, Field(ge=1, le=1_000_000)]

    def throttle(self) -> Throttle:
        """The same in the domain's words."""
        return Throttle(rate_per_s=self.rate_per_s, burst=self.burst)


class RetryPart(Part):
    """How failed attempts are repeated where the campaign does not say."""

    max_attempts: Annotated[int, Field(ge=1, le=100)] = _RETRY.max_attempts
    initial_backoff_s: Annotated[int, Field(ge=1, le=86_400)] = _RETRY.initial_backoff_s
    max_backoff_s: Annotated[int, Field(ge=1, le=604_800)] = _RETRY.max_backoff_s
    max_age_s: Annotated[int, Field(ge=600, le=2_592_000)] = _RETRY.max_age_s


class SmtpPart(Part):
    """An SMTP server; the fields are those of the CLARION_SMTP_* settings."""

    host: Annotated[str, _text("a host name or an IP address", min_length=1)]
    port: Annotated[int, Field(ge=1, le=65_535)] = 25
    security: Literal["none", "starttls", "tls"] = "none"
    ca_file: Annotated[_Path | None, _text("the path of a readable PEM file of certificates")] = None
    username: Annotated[str, _text("any text, in quotes where YAML takes it for something else")] = ""
    password_env: Annotated[
        str | None,
        _text("the name of an environment variable that is set", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
    ] = None
    password_file: Annotated[_Path | None, _text("the path of a readable file that holds the password")] = None
    connections: Annotated[int, Field(ge=1, le=1_000)] = 8
    timeout_s: Annotated[float, Field(ge=0.1, le=900)] = 60.0
    helo: Annotated[
        str, _text("a host name, or an IP address in brackets and quotes", pattern=r"^[A-Za-z0-9.\-\[\]:]*$")
    ] = ""

    def password(self, environment: Mapping[str, str]) -> str:
        """The password that the file refers to, or nothing. `KeyError` or `OSError` where it is gone meanwhile."""
        if self.password_file is not None:
            return self.password_file.read_text("utf-8").rstrip("\r\n")
        return environment[self.password_env] if self.password_env else ""

    @field_validator("ca_file")
    @classmethod
    def _holds_certificates(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        try:
            if path is not None and _surroundings(info).environment is not None:
                ssl.create_default_context(cafile=path)
        except OSError:  # of which SSLError is one
            raise PydanticCustomError(WRONG, "can't be read") from None
        return path

    @field_validator("password_file")
    @classmethod
    def _holds_a_password(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        try:
            unseen = path is None or _surroundings(info).environment is None
            held = unseen or bool(path and path.read_text("utf-8").strip())
        except (OSError, UnicodeDecodeError):
            held = False
        if not held:
            raise PydanticCustomError(WRONG, "can't be read, or is empty")
        return path

    @field_validator("password_env")
    @classmethod
    def _is_set(cls, name: str | None, info: ValidationInfo) -> str | None:
        environment = _surroundings(info).environment
        if name and environment is not None and not environment.get(name):
            raise PydanticCustomError(WRONG, "is not set")
        return name

    @model_validator(mode="after")
    def _credentials_fit(self) -> Self:
        if self.password_env and self.password_file:
            raise PydanticCustomError(TOLD, "password_env and password_file say the same thing; keep one of them")
        if bool(self.username) != bool(self.password_env or self.password_file):
            raise PydanticCustomError(
                TOLD, "username and the password go together; password_env or password_file says where that is"
            )
        if self.username and self.security == "none" and not is_loopback(self.host):
            raise PydanticCustomError(
                TOLD, "username needs TLS, because host is not on this machine; set security to starttls or tls"
            )
        return self


class ProviderPart(Part):
    """A provider of the e-mail channel."""

    name: Annotated[
        str,
        _text("a lower-case letter, then up to 31 letters, digits and hyphens", pattern=r"^[a-z][a-z0-9-]{0,31}$"),
    ]
    weight: Annotated[int, Field(ge=1, le=1_000)] = 1
    throttle: Annotated[ThrottlePart | None, _THROTTLE] = None
    smtp: Annotated[SmtpPart, _text("a mapping with host, port, security and the like")]

    def provider(self) -> Provider:
        """The same in the domain's words."""
        return Provider(
            name=self.name, weight=self.weight, throttle=self.throttle.throttle() if self.throttle else None
        )


class EmailPart(Part):
    """The e-mail channel."""

    routing: Literal["order", "weight"] = "order"
    throttle: Annotated[ThrottlePart | None, _THROTTLE] = None
    retry: Annotated[RetryPart, _text("a mapping with max_attempts, max_age_s and the like")] = RetryPart()
    providers: Annotated[list[ProviderPart], _text("a list of 1 to 16 providers", min_length=1, max_length=16)]

    @field_validator("providers")
    @classmethod
    def _names_are_unique(cls, providers: list[ProviderPart]) -> list[ProviderPart]:
        names = [provider.name for provider in providers]
        for name in names:
            if names.count(name) > 1:
                raise PydanticCustomError(TOLD, "two are called {name}; each needs a name of its own", {"name": name})
        return providers

    def configuration(self) -> ChannelConfiguration:
        """The same in the domain's words."""
        return ChannelConfiguration(
            channel="email",
            providers=tuple(provider.provider() for provider in self.providers),
            routing=Routing(self.routing),
            throttle=self.throttle.throttle() if self.throttle else None,
            retry=RetryPolicy(**self.retry.model_dump()),
        )


class Channels(Part):
    """The whole file."""

    email: Annotated[EmailPart, _text("a mapping with providers and the like")]


SETTINGS_ALONE = ChannelConfiguration(channel="email", providers=(Provider(name="smtp"),))
"""The e-mail channel where there is no file: one provider, which the CLARION_SMTP_* settings describe."""
