"""E-mails and servers as the tests of channels use them."""

from __future__ import annotations

from typing import Any

from clarion_stack.local import free_port
from clarion_workers.channels.email import EmailMessage, SmtpConfig

DATE_S = 1_795_507_200  # 2026-11-24T08:00:00Z


def email(number: int = 0, to: str = "", **changes: Any) -> EmailMessage:
    values: dict[str, Any] = {
        "delivery_id": f"00j4k-{number}",
        "sender": "Shop <orders@example.com>",
        "to_address": to or f"ada{number}@example.com",
        "subject": f"Your order {number}",
        "html": "<p>Thank you.</p>",
        "text": "Thank you.\n",
        "date_s": DATE_S,
    } | changes
    texts = {name: values[name].encode("utf-8", "replace") for name in ("html", "text")}
    return EmailMessage(**(values | texts))


def config(port: int, **changes: Any) -> SmtpConfig:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "message_id_domain": "mail.example.com",
        "connections": 4,
        "timeout_s": 5.0,
    }
    return SmtpConfig(**(values | changes))


def closed_port() -> int:
    """Where nobody listens, and for a minute nobody else will."""
    return free_port()
