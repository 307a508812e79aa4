"""Settings: `CLARION_*` from the environment, each described here, all checked at start.

`load()` is the only door: a wrong value ends the process with one line that names the setting.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "CLARION_"


class CoreSettings(BaseSettings):
    """What every process of Clarion is told."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    redis_url: Annotated[
        str,
        Field(
            pattern=r"^(redis|rediss|unix)://.+",
            description="Where the store is: redis://, rediss:// or unix://. Redis 7.0 or Valkey 7.2 at least.",
        ),
    ] = "redis://127.0.0.1:6379/0"
    shards: Annotated[
        int,
        Field(ge=1, le=64, description="Parts the records are kept in; fixed when the store is first used."),
    ] = 1
    retention_s: Annotated[
        int,
        Field(ge=86_400, le=31_536_000, description="How long a finished trigger is kept, in seconds: 7 days."),
    ] = 604_800
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="The least severe event that is logged.")
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "pretty"],
        Field(description="One JSON object a line, or coloured text; auto: pretty on a terminal."),
    ] = "auto"
    message_id_domain: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9.\-]*[A-Za-z0-9])?$", description="Right side of every Message-ID."),
    ] = "clarion.invalid"


class ServerSettings(CoreSettings):
    """What clarion-server is told."""

    listen: Annotated[
        str,
        Field(
            pattern=r"^.+:\d{1,5}$",
            description="host:port of the gRPC door; loopback unless told otherwise; port 0 takes a free one.",
        ),
    ] = "127.0.0.1:7171"
    reflection: Annotated[bool, Field(description="Whether callers can ask for the contract (grpcurl does).")] = True
    max_calls: Annotated[
        int, Field(ge=1, le=100_000, description="Unary calls in hand at most; more are RESOURCE_EXHAUSTED.")
    ] = 2_000
    max_watches: Annotated[
        int, Field(ge=1, le=100_000, description="Watch streams in hand at most; more are RESOURCE_EXHAUSTED.")
    ] = 2_000
    accept_queue_mib: Annotated[
        int, Field(ge=8, le=4_096, description="MiB of accepted calls that may wait for the store at most.")
    ] = 64
    drain_s: Annotated[
        float, Field(ge=0, le=600, description="Seconds that calls in hand get to finish after SIGTERM.")
    ] = 10.0


class WorkerSettings(CoreSettings):
    """What clarion-worker is told."""

    window: Annotated[
        int,
        Field(
            ge=2,
            le=10_000,
            description="Deliveries handed over and not yet recorded at most, a worker process: what one crash can "
            "leave ambiguous. Shared by the lanes; an eighth is kept for each.",
        ),
    ] = 64
    jobs: Annotated[int, Field(ge=1, le=256, description="Batches in hand at most, a lane.")] = 4
    lease_s: Annotated[
        float,
        Field(ge=1, le=300, description="How long a batch is a worker's without a sign of life, in seconds."),
    ] = 5.0
    sweep_s: Annotated[float, Field(ge=0.1, le=300, description="Seconds between two looks for what got lost.")] = 2.0
    drain_s: Annotated[
        float, Field(ge=0, le=600, description="Seconds that hand-overs in flight get to finish after SIGTERM.")
    ] = 30.0
    smtp_host: Annotated[str, Field(min_length=1, description="The SMTP server that takes the mail.")] = "127.0.0.1"
    smtp_port: Annotated[int, Field(ge=1, le=65_535, description="Its port.")] = 25
    smtp_security: Annotated[
        Literal["none", "starttls", "tls"],
        Field(description="none: in the clear; starttls: required, never fallen back from; tls: from the first byte."),
    ] = "none"
    smtp_ca_file: Annotated[
        Path | None, Field(description="PEM file of the authorities trusted instead of the system's.")
    ] = None
    smtp_username: Annotated[str, Field(description="User for AUTH; empty: none. Needs TLS, but on loopback.")] = ""
    smtp_password: Annotated[SecretStr, Field(description="Password for AUTH.")] = SecretStr("")
    smtp_connections: Annotated[
        int, Field(ge=1, le=1_000, description="Connections kept to the SMTP server at most, a worker process.")
    ] = 8
    smtp_timeout_s: Annotated[
        float, Field(ge=0.1, le=900, description="Seconds to wait for each reply of the SMTP server.")
    ] = 60.0
    smtp_helo: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9.\-\[\]:]*$", description="The name given in EHLO; empty: this host's.")
    ] = ""


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load(cls: type[SettingsT]) -> SettingsT:
    """Read and check the settings, or end the process: exit code 2, one line a wrong setting on stderr."""
    try:
        return cls()
    except ValidationError as error:
        for line in complaints(error):
            sys.stderr.write(line + "\n")
        raise SystemExit(2) from None


def complaints(error: ValidationError) -> list[str]:
    """One line a wrong setting: its name in the environment, and what is wrong. Values are not shown."""
    return [
        f"{PREFIX}{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
        for problem in error.errors()
    ]
