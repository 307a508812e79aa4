"""E-mail over SMTP: a fast MIME builder and a client that keeps and pipelines its connections."""

from clarion_core.configuration.smtp import SmtpPart
from clarion_core.domain.medium import Medium
from clarion_workers.channels.email.config import SmtpConfig, from_part, from_settings
from clarion_workers.channels.email.copies import Copying, copying
from clarion_workers.channels.email.letterhead import Letterhead, letterhead_of
from clarion_workers.channels.email.message import EmailMessage
from clarion_workers.channels.email.smtp import EmailChannel
from clarion_workers.channels.kind import Opening, ProviderKind, Supports

__all__ = ["SMTP", "EmailChannel", "EmailMessage", "Letterhead", "SmtpConfig", "from_part", "from_settings"]


def _open(part: SmtpPart, opening: Opening) -> Copying:
    config = from_part(part, opening.secret, opening.message_id_domain)
    return copying(EmailChannel(config, letterhead_of(opening)), opening)


SMTP = ProviderKind(
    title="SMTP server",
    medium=Medium.EMAIL,
    open=_open,
    supports=Supports(
        provider_id="the queue id, where the reply tells it",
        expiry="DELIVERBY (RFC 2852), where the server offers it",
        attachments="any kind of file, attached or inline",
    ),
    notes="The Message-ID is the same in every attempt; servers need not look at it.",
)
