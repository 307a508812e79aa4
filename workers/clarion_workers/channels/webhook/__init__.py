"""Webhooks: calls of endpoints that belong to somebody else, signed as Standard Webhooks says."""

from __future__ import annotations

import ssl

from clarion_core.configuration.webhook import WebhookPart
from clarion_core.domain.medium import Medium
from clarion_workers.channels.guard import Guard
from clarion_workers.channels.kind import Opening, ProviderKind, Supports
from clarion_workers.channels.webhook.channel import WebhookChannel
from clarion_workers.channels.webhook.message import WebhookMessage
from clarion_workers.channels.webhook.signing import Signers

__all__ = ["WEBHOOK", "WebhookChannel", "WebhookMessage"]


def _open(part: WebhookPart, opening: Opening) -> WebhookChannel:
    """A channel of a configuration. `ValueError` where a secret has become something else meanwhile."""
    tls = None
    if part.ca_file is not None:
        tls = ssl.create_default_context()
        tls.load_verify_locations(part.ca_file)
    proxy = part.egress.proxy
    guard = Guard(part.egress, proxy_password=opening.secret(proxy.password) if proxy else "")
    return WebhookChannel(part, guard=guard, signers=Signers(part, opening.secret), tls=tls)


WEBHOOK = ProviderKind(
    title="Standard Webhooks",
    medium=Medium.WEBHOOK,
    open=_open,
    supports=Supports(
        idempotency_key="`webhook-id`, the same in every attempt",
        retry_after="Retry-After, a day at most",
    ),
    notes="Calls are signed with the endpoint's own secret (HMAC-SHA256, Ed25519, or both while one is changed), and "
    "may go to public addresses alone unless the configuration says more. 410 ends calls of an endpoint.",
)
