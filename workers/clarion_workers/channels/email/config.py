"""What the e-mail channel is told about its server."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clarion_core.configuration.smtp import SmtpPart
from clarion_core.settings import WorkerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpConfig:
    """Where and how mail is handed over. Times are seconds.

    `timeout_s` bounds the wait for each reply, `idle_s` how long an unused connection is kept, `security` is as
    `CLARION_SMTP_SECURITY`. Without a `helo` name this host's is used.
    """

    host: str
    port: int
    message_id_domain: str
    security: Literal["none", "starttls", "tls"] = "none"
    ca_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    connections: int = 8
    timeout_s: float = 60.0
    idle_s: float = 30.0
    helo: str = ""

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context that `security` asks for: certificates and host names are always verified.

        `OSError` (of which `ssl.SSLError` is one) where `ca_file` can't be read.
        """
        if self.security == "none":
            return None
        return ssl.create_default_context(cafile=self.ca_file)


def from_settings(settings: WorkerSettings) -> SmtpConfig:
    """The part of a worker's settings that is about SMTP."""
    return SmtpConfig(
        host=settings.smtp_host,
        port=settings.smtp_port,
        message_id_domain=settings.message_id_domain,
        security=settings.smtp_security,
        ca_file=settings.smtp_ca_file,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value(),
        connections=settings.smtp_connections,
        timeout_s=settings.smtp_timeout_s,
        helo=settings.smtp_helo,
    )


def from_part(smtp: SmtpPart, password: str, message_id_domain: str) -> SmtpConfig:
    """A server as a configuration describes it."""
    return SmtpConfig(
        host=smtp.host,
        port=smtp.port,
        message_id_domain=message_id_domain,
        security=smtp.security,
        ca_file=smtp.ca_file,
        username=smtp.username,
        password=password,
        connections=smtp.connections,
        timeout_s=smtp.timeout_s,
        helo=smtp.helo,
    )
