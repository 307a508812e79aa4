"""Webhooks and secrets as the tests use them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clarion_core.configuration.webhook import WebhookPart
from clarion_workers.channels.kind import Opening
from clarion_workers.channels.webhook import WEBHOOK, WebhookChannel, WebhookMessage

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(64))).decode()
ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(100, 132)))
PRIVATE = "whsk_" + base64.b64encode(bytes(range(100, 132))).decode()
ENVIRONMENT = {"SECRET": SECRET, "OTHER": OTHER, "PRIVATE": PRIVATE, "PROXY": "canary4711"}


def call(number: int = 0, url: str = "", text: str = "Thank you.\n", **changes: Any) -> WebhookMessage:
    values: dict[str, Any] = {
        "delivery_id": f"00j4k-{number}",
        "url": url,
        "body": json.dumps({"type": "order.shipped", "text": text}, ensure_ascii=False).encode(),
        "date_s": 1_795_507_200.0,
    }
    return WebhookMessage(**(values | changes))


def opened(ca_file: Path | None = None, **settings: Any) -> WebhookChannel:
    """A channel as a worker opens it, of what a configuration says."""
    said = {"secrets": [{"env": "SECRET"}], "timeout_s": 5.0} | settings
    if ca_file:
        said["ca_file"] = str(ca_file)
    channel = WEBHOOK.open(WebhookPart.model_validate(said), Opening(environment=ENVIRONMENT, message_id_domain="x"))
    assert isinstance(channel, WebhookChannel)
    return channel
