"""What the local stack needs for mail to come back: bounce addresses, who takes mail to them, and who sends it back."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import format_datetime, localtime
from pathlib import Path
from smtplib import SMTP

DOMAIN = "bounces.clarion.test"
_SECRET = "bounces.secret"  # noqa: S105 - the name of a file
_TIMEOUT_S = 30.0
_WIRE = compat32.clone(linesep="\r\n")

_CHANNELS = """\
# Made by clarion-stack: its mail goes to the catcher, and comes back to clarion-edge.
email:
  bounces: {{domain: {domain}, secret: {{file: {secret}}}}}
  providers: [{{name: smtp, smtp: {{host: {host}, port: {port}}}}}]
"""
_RECEIPTS = """\
# Made by clarion-stack: mail to bounce addresses, which clarion-edge takes.
mail: {{domain: {domain}, secret: {{file: {secret}}}}}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Returning:
    """Where a stack's mail comes back to. What `write` writes and says tells its programs."""

    home: Path
    host: str
    smtp_port: int
    inlet_port: int

    def write(self) -> str:
        """Write what the edge is told, and say what stands in the workers' channel configuration.

        A secret is made once and kept, so that late bounces find home.
        """
        secret = self.home / _SECRET
        if not secret.exists():
            with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(32))
        told = {"domain": DOMAIN, "secret": _SECRET, "host": self.host, "port": self.smtp_port}
        self._receipts.write_text(_RECEIPTS.format(**told), "utf-8")
        return _CHANNELS.format(**told)

    def environment(self) -> dict[str, str]:
        """What every program of the stack is told."""
        return {
            "CLARION_RECEIPTS": str(self._receipts),
            "CLARION_EDGE_MAIL": f"{self.host}:{self.inlet_port}",
        }

    @property
    def _receipts(self) -> Path:
        return self.home / "receipts.yaml"


def send_back(port: int, host: str, sender: str, recipient: str, content: bytes) -> None:
    """Tell a message's sender, as a mail server does, that there is no such recipient. `OSError` if that fails.

    By SMTP, to the mail server at the port: the bounce address's.
    """
    with SMTP(host, port, timeout=_TIMEOUT_S) as server:
        server.sendmail("", [sender], report(sender, recipient, content).as_bytes(policy=_WIRE))


def report(sender: str, recipient: str, content: bytes) -> Message:
    """A delivery status notification (RFC 3464): no such mailbox."""
    made = MIMEMultipart("report", report_type="delivery-status")
    made["From"] = "Mail Delivery System <mailer-daemon@mailbox.test>"
    made["To"] = sender
    made["Subject"] = "Undelivered Mail Returned to Sender"
    made["Auto-Submitted"] = "auto-replied"
    made.attach(MIMEText("Your message could not be delivered: there is no such mailbox here.\n"))
    made.attach(
        _fields(
            [
                {"Reporting-MTA": "dns; mailbox.test"},
                {
                    "Final-Recipient": f"rfc822; {recipient}",
                    "Action": "failed",
                    "Status": "5.1.1",
                    "Diagnostic-Code": "smtp; 550 5.1.1 no such mailbox",
                    "Last-Attempt-Date": format_datetime(localtime()),
                },
            ]
        )
    )
    head = Message()
    head["Content-Type"] = "text/rfc822-headers"
    head.set_payload("".join(f"{name}: {value}\n" for name, value in BytesHeaderParser().parsebytes(content).items()))
    made.attach(head)
    return made


def _fields(blocks: Sequence[dict[str, str]]) -> Message:
    part = Message()
    part["Content-Type"] = "message/delivery-status"
    told: list[Message | str] = []
    for fields in blocks:
        block = Message()
        for name, value in fields.items():
            block[name] = value
        told.append(block)
    part.set_payload(told)
    return part
