"""The kinds of provider, by the name that a configuration calls them."""

from __future__ import annotations

from collections.abc import Mapping

from clarion_workers.channels import email, push
from clarion_workers.channels.email.mailgun import MAILGUN
from clarion_workers.channels.email.ses import SES
from clarion_workers.channels.kind import ProviderKind
from clarion_workers.channels.sms.generic import HTTP
from clarion_workers.channels.sms.smpp import SMPP
from clarion_workers.channels.sms.twilio import TWILIO
from clarion_workers.channels.webhook import WEBHOOK

PROVIDERS: Mapping[str, ProviderKind] = {
    "smtp": email.SMTP,
    "ses": SES,
    "mailgun": MAILGUN,
    "smpp": SMPP,
    "twilio": TWILIO,
    "http": HTTP,
    "fcm": push.FCM,
    "apns": push.APNS,
    "webpush": push.WEB_PUSH,
    "webhook": WEBHOOK,
}
