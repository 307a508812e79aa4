"""The kinds of provider, by the name that a configuration calls them."""

from __future__ import annotations

from collections.abc import Mapping

from clarion_workers.channels import email
from clarion_workers.channels.kind import ProviderKind
from clarion_workers.channels.sms.twilio import TWILIO

PROVIDERS: Mapping[str, ProviderKind] = {
    "smtp": email.SMTP,
    "twilio": TWILIO,
}
