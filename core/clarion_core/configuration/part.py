"""What configurations are made of: mappings with known keys, and references to secrets.

A secret never stands in a configuration: it names the variable or the file that holds it. Paths are relative to the
file that names them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from clarion_core.domain.campaign import RetryPolicy, Throttle
from clarion_core.settings import SECRET_ENV_PREFIX

_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")

TOLD, WRONG = "told", "wrong"
"""Our own kinds of problems: one that brings its words, and one that the field's own words describe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a configuration refers to: its directory, and the environment that holds secrets.

    Without an environment, what it refers to is not looked for: it may be on another machine.
    """

    directory: Path
    environment: Mapping[str, str] | None
    confined: bool = False
    """Whether it may refer to files of the directory alone, and to variables that are meant for it."""


def text(allowed: str, **rules: Any) -> Any:
    """A field that holds text or a mapping: what may stand there, in words that complaints use."""
    return Field(json_schema_extra={"allowed": allowed}, **rules)


def surroundings(info: ValidationInfo) -> Surroundings:
    """Where the configuration being read is."""
    return info.context if isinstance(info.context, Surroundings) else Surroundings(directory=Path(), environment=None)


def _beside_the_file(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    where = surroundings(info)
    if where.confined and not _FILE_NAME.fullmatch(value):
        raise PydanticCustomError(
            TOLD, "must be the name of a file in the workers' CLARION_SECRETS_DIR, without a path"
        )
    return where.directory / value


FilePath = Annotated[Path, BeforeValidator(_beside_the_file)]
"""A path, relative to the file it stands in."""


class Part(BaseModel):
    """A mapping in a configuration: no key but those that are known, no value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Secret(Part):
    """Where a secret is: in an environment variable of the workers, or in a file that they can read."""

    env: Annotated[
        str | None,
        text("the name of an environment variable that is set", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
    ] = None
    file: Annotated[FilePath | None, text("the path of a readable file that holds it")] = None

    def read(self, environment: Mapping[str, str]) -> str:
        """The secret. `KeyError` or `OSError` where it is gone meanwhile."""
        if self.file is not None:
            return self.file.read_text("utf-8").rstrip("\r\n")
        assert self.env is not None
        return environment[self.env]

    @model_validator(mode="before")
    @classmethod
    def _is_no_secret(cls, value: object) -> object:
        if isinstance(value, str):
            raise PydanticCustomError(TOLD, "must not stand here itself; say where it is: {env: NAME} or {file: path}")
        return value

    @field_validator("file")
    @classmethod
    def _holds_something(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        try:
            unseen = path is None or surroundings(info).environment is None
            held = unseen or bool(path and path.read_text("utf-8").strip())
        except (OSError, UnicodeDecodeError):
            held = False
        if not held:
            raise PydanticCustomError(WRONG, "can't be read, or is empty")
        return path

    @field_validator("env")
    @classmethod
    def _is_set(cls, name: str | None, info: ValidationInfo) -> str | None:
        where = surroundings(info)
        if name and where.confined and not name.startswith(SECRET_ENV_PREFIX):
            raise PydanticCustomError(TOLD, "must begin with {prefix}", {"prefix": SECRET_ENV_PREFIX})
        environment = where.environment
        if name and environment is not None and not environment.get(name):
            raise PydanticCustomError(WRONG, "is not set")
        return name

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise PydanticCustomError(TOLD, "needs one of env and file, which say where it is")
        return self


SECRET_WORDS = "where it is: {env: NAME} or {file: path}"  # noqa: S105 - words about it


class ThrottlePart(Part):
    """An upper bound."""

    rate_per_s: Annotated[float, Field(ge=0.01, le=1_000_000)]
    burst: Annotated[int, Field(ge=1, le=1_000_000)]

    def throttle(self) -> Throttle:
        """The same in the domain's words."""
        return Throttle(rate_per_s=self.rate_per_s, burst=self.burst)


_RETRY = RetryPolicy()


class RetryPart(Part):
    """How failed attempts are repeated where the campaign does not say."""

    max_attempts: Annotated[int, Field(ge=1, le=100)] = _RETRY.max_attempts
    initial_backoff_s: Annotated[int, Field(ge=1, le=86_400)] = _RETRY.initial_backoff_s
    max_backoff_s: Annotated[int, Field(ge=1, le=604_800)] = _RETRY.max_backoff_s
    max_age_s: Annotated[int, Field(ge=600, le=2_592_000)] = _RETRY.max_age_s
    schedule_s: Annotated[
        list[Annotated[int, Field(ge=1, le=604_800)]],
        text("a list of pauses in seconds, whole numbers from 1 to 604800", max_length=100),
    ] = Field(default_factory=list)

    def policy(self) -> RetryPolicy:
        """The same in the domain's words."""
        return RetryPolicy(**self.model_dump() | {"schedule_s": tuple(self.schedule_s)})
