"""What the webhook channel takes."""

from __future__ import annotations

from clarion_workers.channels import Message


class WebhookMessage(Message, frozen=True, kw_only=True, gc=False):
    """One call of somebody's endpoint: `body` is JSON in UTF-8, `date_s` when it was rendered, seconds since 1970."""

    url: str
    body: bytes
    date_s: float
