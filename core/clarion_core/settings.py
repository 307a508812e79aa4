"""Settings: `CLARION_*` from the environment, each described and checked here; `environment.load` reads them."""

from __future__ import annotations

import ipaddress
import re
import ssl
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from clarion_core.domain.campaign import LANES
from clarion_core.domain.files import MIB, MOST_FILES, MOST_MIB, FileLimits

PREFIX = "CLARION_"
BULK_LANE, BULK_NICE = "marketing", 10
_LANE = "|".join(LANES)

SECRET_ENV_PREFIX = "CLARION_SECRET_"  # noqa: S105 - of names
"""Variables that channel configurations of the service may name begin so."""


def _text(allowed: str, description: str, **rules: Any) -> Any:
    """A field that holds text: what may stand there, in words that complaints and --help use."""
    return Field(description=description, json_schema_extra={"allowed": allowed}, **rules)


_PORT = r"0*(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"

OFF = "off"
_METRICS = _text(
    "HOST:PORT, the port from 0 to 65535, or off",
    "Where metrics are exposed over HTTP, for Prometheus; loopback unless told otherwise; port 0 takes a free one.",
    pattern=rf"^$|^{OFF}$|^.+:{_PORT}$",
)


class CoreSettings(BaseSettings):
    """What every process of Clarion is told."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

    redis_url: Annotated[
        str,
        _text(
            "redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix://PATH, a password percent-encoded",
            "Where the store is. Redis 7.0 or Valkey 7.2 at least.",
            pattern=r"^(redis|rediss|unix)://.+",
            repr=False,  # may hold a password
        ),
    ] = "redis://127.0.0.1:6379/0"
    shards: Annotated[
        int,
        Field(ge=1, le=64, description="Parts the records are kept in; fixed when the store is first used."),
    ] = 1
    retention_s: Annotated[
        int,
        Field(ge=86_400, le=31_536_000, description="Seconds that a finished trigger is kept; 604800 is 7 days."),
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
        _text(
            "a domain",
            "Right side of every Message-ID.",
            pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9.\-]*[A-Za-z0-9])?$",
        ),
    ] = "clarion.invalid"
    render_s: Annotated[
        float,
        Field(
            ge=0.05, le=60, description="Seconds of CPU that the templates of one message get; then it is not rendered."
        ),
    ] = 0.25
    compile_s: Annotated[
        float,
        Field(
            ge=0.1, le=60, description="Seconds of CPU to check or compile one template; the largest takes half a one."
        ),
    ] = 2.0
    render_memory_mib: Annotated[
        int,
        Field(ge=64, le=16_384, description="MiB that templates get, beside what the process that renders them needs."),
    ] = 256

    @property
    def store_address(self) -> str:
        """Where the store is, without user, password and options."""
        parts = urlsplit(self.redis_url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @field_validator("redis_url")
    @classmethod
    def _leads_somewhere(cls, url: str) -> str:
        if not _is_store(url):
            raise PydanticCustomError("setting", "leads nowhere")
        return url


class ServerSettings(CoreSettings):
    """What clarion-server is told."""

    listen: Annotated[
        str,
        _text(
            "HOST:PORT, the port from 0 to 65535",
            "The address of the gRPC door; loopback unless told otherwise; port 0 takes a free one.",
            pattern=rf"^.+:{_PORT}$",
        ),
    ] = "127.0.0.1:7171"
    metrics: Annotated[str, _METRICS] = "127.0.0.1:9464"
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
    email_files: Annotated[
        int, Field(ge=0, le=MOST_FILES, description="Files that an e-mail of a campaign may have at most.")
    ] = 5
    email_files_mib: Annotated[
        int, Field(ge=1, le=MOST_MIB, description="MiB that these files may have together at most.")
    ] = 5
    drain_s: Annotated[
        float, Field(ge=0, le=600, description="Seconds that calls in hand get to finish after SIGTERM.")
    ] = 10.0

    @property
    def file_limits(self) -> FileLimits:
        """What files an e-mail may have."""
        return FileLimits(files=self.email_files, bytes=self.email_files_mib * MIB)


class WorkerSettings(CoreSettings):
    """What clarion-worker is told."""

    metrics: Annotated[str, _METRICS] = OFF
    lanes: Annotated[
        str,
        _text(
            f"some of {', '.join(LANES)}, separated by commas",
            "The lanes this process takes work from; each lane needs a process that does.",
            pattern=rf"^({_LANE})(,({_LANE}))*$",
        ),
    ] = ",".join(LANES)
    nice: Annotated[
        int,
        Field(
            ge=0,
            le=19,
            description="How far this process steps back behind others of the machine (nice); a process that serves "
            f"{BULK_LANE} alone does so by {BULK_NICE} unless told otherwise.",
        ),
    ] = 0
    window: Annotated[
        int,
        Field(
            ge=2,
            le=10_000,
            description="Deliveries of one channel configuration handed over and not yet recorded at most, a worker "
            "process: what one crash can leave ambiguous of it. Shared by the lanes; an eighth is kept for each.",
        ),
    ] = 64
    jobs: Annotated[
        int, Field(ge=1, le=256, description="Batches in hand at most, for each lane and channel configuration.")
    ] = 4
    lease_s: Annotated[
        float,
        Field(ge=1, le=300, description="How long a batch is a worker's without a sign of life, in seconds."),
    ] = 5.0
    sweep_s: Annotated[float, Field(ge=0.1, le=300, description="Seconds between two looks for what got lost.")] = 2.0
    drain_s: Annotated[
        float, Field(ge=0, le=600, description="Seconds that hand-overs in flight get to finish after SIGTERM.")
    ] = 30.0
    channels: Annotated[
        Path | None,
        _text(
            "the path of a YAML file",
            "The channel configuration: providers, routing, throttles. Without it the CLARION_SMTP_* settings describe "
            "one provider; with it they are not read.",
        ),
    ] = None
    secrets_dir: Annotated[
        Path,
        _text(
            "the path of a directory",
            "Where the files are that channel configurations of the service name: secrets and certificates.",
        ),
    ] = Path("/run/secrets")
    smtp_host: Annotated[
        str, _text("a host name or an IP address", "The SMTP server that takes the mail.", min_length=1)
    ] = "127.0.0.1"
    smtp_port: Annotated[int, Field(ge=1, le=65_535, description="Its port.")] = 25
    smtp_security: Annotated[
        Literal["none", "starttls", "tls"],
        Field(description="none: in the clear; starttls: required, never fallen back from; tls: from the first byte."),
    ] = "none"
    smtp_ca_file: Annotated[
        Path | None,
        _text("a readable PEM file of certificates", "The authorities trusted instead of the system's."),
    ] = None
    smtp_username: Annotated[
        str, _text("any text", "User for AUTH; empty: none. Needs TLS, unless the SMTP server is on this machine.")
    ] = ""
    smtp_password: Annotated[SecretStr, _text("any text", "Password for AUTH.")] = SecretStr("")
    smtp_connections: Annotated[
        int, Field(ge=1, le=1_000, description="Connections kept to the SMTP server at most, a worker process.")
    ] = 8
    smtp_timeout_s: Annotated[
        float, Field(ge=0.1, le=900, description="Seconds to wait for each reply of the SMTP server.")
    ] = 60.0
    smtp_helo: Annotated[
        str,
        _text(
            "a host name, or an IP address in brackets",
            "The name given in EHLO; empty: this host's.",
            pattern=r"^[A-Za-z0-9.\-\[\]:]*$",
        ),
    ] = ""

    @property
    def served(self) -> tuple[str, ...]:
        """The lanes to take work from, the most urgent first."""
        named = self.lanes.split(",")
        return tuple(lane for lane in LANES if lane in named)

    @property
    def niceness(self) -> int:
        """How far to step back behind other processes."""
        is_bulk = "nice" not in self.model_fields_set and self.served == (BULK_LANE,)
        return BULK_NICE if is_bulk else self.nice

    @field_validator("smtp_ca_file")
    @classmethod
    def _holds_certificates(cls, path: Path | None) -> Path | None:
        try:
            if path is not None:
                ssl.create_default_context(cafile=path)
        except OSError:  # of which SSLError is one
            raise PydanticCustomError("setting", "can't be read") from None
        return path

    @model_validator(mode="after")
    def _credentials_travel_encrypted(self) -> Self:
        if self.smtp_username and self.smtp_security == "none" and not is_loopback(self.smtp_host):
            raise PydanticCustomError(
                "setting",
                f"{PREFIX}SMTP_USERNAME: needs TLS, because {PREFIX}SMTP_HOST is not on this machine; "
                f"set {PREFIX}SMTP_SECURITY to starttls or tls",
            )
        return self


class EdgeSettings(CoreSettings):
    """What clarion-edge is told."""

    edge_listen: Annotated[
        str,
        _text(
            "HOST:PORT, the port from 0 to 65535",
            "The address of the public HTTP door; loopback unless told otherwise: a proxy with TLS stands before it.",
            pattern=rf"^.+:{_PORT}$",
        ),
    ] = "127.0.0.1:7172"
    edge_mail: Annotated[
        str,
        _text(
            "HOST:PORT, the port from 0 to 65535, or off",
            "Where mail to bounce addresses is taken over SMTP, if the receipts file has mail.",
            pattern=rf"^{OFF}$|^.+:{_PORT}$",
        ),
    ] = OFF
    public_url: Annotated[
        str,
        _text(
            "an http:// or https:// URL without query",
            "What the world calls clarion-edge by: signatures may be of it.",
            pattern=r"^https?://[^\s?#]+$",
        ),
    ] = "http://127.0.0.1:7172"
    receipts: Annotated[
        Path | None,
        _text("the path of a YAML file", "Who may tell what became of messages, and how they are believed."),
    ] = None
    channels: Annotated[
        Path | None,
        _text(
            "the path of a YAML file",
            "The workers' channel configuration, where they have one: how many soft bounces suppress an address, which "
            "words mean STOP. What it refers to, secrets and certificates, is not read.",
        ),
    ] = None
    metrics: Annotated[str, _METRICS] = OFF
    drain_s: Annotated[
        float, Field(ge=0, le=600, description="Seconds that requests in hand get to finish after SIGTERM.")
    ] = 10.0


def _is_store(url: str) -> bool:
    """Whether a URL names a store, and nothing in it can be a part of a password that is not percent-encoded."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme == "unix":
        return bool(parts.path) and not parts.fragment
    in_one_piece = "@" not in parts.path + parts.query and not parts.fragment
    return in_one_piece and bool(parts.hostname) and port != 0 and bool(re.fullmatch(r"/?\d*", parts.path))


def is_loopback(host: str) -> bool:
    """Whether this is this machine's own address, in brackets or not, or `localhost`."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
