"""E-mail over SMTP: a fast MIME builder and a client that keeps and pipelines its connections."""

from clarion_workers.channels.email.config import SmtpConfig, from_part, from_settings
from clarion_workers.channels.email.message import EmailMessage
from clarion_workers.channels.email.smtp import EmailChannel

__all__ = ["EmailChannel", "EmailMessage", "SmtpConfig", "from_part", "from_settings"]
