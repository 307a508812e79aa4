"""What the e-mail channel is told about its server."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clarion_core.configuration.part import Secret
from clarion_core.configuration.smtp import SmtpPart
from clarion_core.settings import WorkerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpConfig:
    """Where and how mail is handed over. Times are seconds.

    `timeout_s` bounds the wait for each reply, `dot_timeout_s` for the one to a message as a whole; `idle_s` is how
    long an unused connection is kept, `security` is as `CLARION_SMTP_SECURITY`. Without `helo` it is this host's.
    `token` reads the one to be used instead of a password. Of `per_domain`, that many messages to one recipient domain
    are in hand at a time; 0: any number.
    """

    host: str
    port: int
    message_id_domain: str
    security: Literal["none", "starttls", "tls"] = "none"
    ca_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    token: Callable[[], str] | None = None
    connections: int = 8
    per_domain: int = 0
    timeout_s: float = 60.0
    dot_timeout_s: float = 0.0  # 0: see `patience_s`
    idle_s: float = 30.0
    helo: str = ""

    @property
    def patience_s(self) -> float:
        """How long a server may take to answer a message as a whole: twice as long as anything else, unless told.

        RFC 5321 §4.5.3.2 gives it 10 minutes where it gives others 5: a server that was left before it answered may
        deliver all the same, and then once more.
        """
        return self.dot_timeout_s or 2 * self.timeout_s

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


def from_part(smtp: SmtpPart, read: Callable[[Secret | None], str], message_id_domain: str) -> SmtpConfig:
    """A server as a configuration describes it; `read` reads its secrets."""
    token = smtp.token
    return SmtpConfig(
        host=smtp.host,
        port=smtp.port,
        message_id_domain=message_id_domain,
        security=smtp.security,
        ca_file=smtp.ca_file,
        username=smtp.username,
        password=read(smtp.password),
        token=(lambda: read(token)) if token else None,
        connections=smtp.connections,
        per_domain=smtp.per_domain or 0,
        timeout_s=smtp.timeout_s,
        dot_timeout_s=smtp.dot_timeout_s or 0.0,
        helo=smtp.helo,
    )
