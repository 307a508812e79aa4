"""From rendered texts to the messages that channels take."""

from __future__ import annotations

from typing import Any

import msgspec

from clarion_core.content.types import RenderedTexts, packed
from clarion_core.domain.campaign import Definition
from clarion_core.domain.content import (
    EmailContent,
    PushButton,
    PushContent,
    PushPriority,
    SmsContent,
    WebhookContent,
)
from clarion_core.domain.delivery import DeliveryRecord
from clarion_core.domain.medium import PLATFORMS, Medium
from clarion_core.store.records import RecipientRow
from clarion_core.store.triggers import StoredDelivery
from clarion_workers.assembly import Batch, assembler
from clarion_workers.channels import Message
from clarion_workers.channels.email import EmailMessage
from clarion_workers.channels.push.message import Button, PushMessage
from clarion_workers.channels.sms.message import SmsMessage
from clarion_workers.channels.webhook.message import WebhookMessage

ADDRESSES = {"email": "a@b.example", "sms": "+4915112345678", "push": "token", "webhook": "https://me.example/"}


def message(medium: Medium, texts: dict[str, str], addresses: dict[str, str] | None = None, **says: Any) -> Message:
    row = RecipientRow(
        user_id="u1", addresses=addresses or ADDRESSES, locale="", profile=packed({}), context=packed({})
    )
    delivery = StoredDelivery(id="d-1", trigger_id="t", recipient=row, record=DeliveryRecord())
    rendered = RenderedTexts(texts={name: text.encode() for name, text in texts.items()})
    batch = Batch(campaign="shop/hello", definition=Definition(**says), medium=medium, now_s=1_700_000_000.0)
    return assembler(batch)(delivery, rendered)


def test_an_email_has_its_texts_as_bytes_and_what_is_not_said_is_empty() -> None:
    content = EmailContent(sender="Shop <s@example.com>", subject="s", text="t")
    made = message(Medium.EMAIL, {"email.subject": "Hé", "email.text": "Tü"}, email=content)
    assert made == EmailMessage(
        delivery_id="d-1",
        sender="Shop <s@example.com>",
        to_address="a@b.example",
        subject="Hé",
        text="Tü".encode(),
        date_s=1_700_000_000.0,
        workspace="shop",
        campaign="hello",
        category="transactional",
    )


def test_a_text_message_weighs_its_segments() -> None:
    content = SmsContent(text="x", sender="Shop")
    made = message(Medium.SMS, {"sms.text": "x" * 161}, sms=content)
    assert made == SmsMessage(delivery_id="d-1", sender="Shop", to_number="+4915112345678", text="x" * 161, segments=2)
    assert made.weight == 2


def test_a_notification_is_for_one_device_with_its_platform_s_overrides() -> None:
    content = PushContent(
        title="t",
        buttons=(PushButton(id="a", title="A"), PushButton(id="b", title="B", link="l")),
        data={"x": "1", "y": "2"},
        badge="0",
        sound="default",
        category="ORDER",
        channel_id="orders",
        priority=PushPriority.NORMAL,
        ttl_s=0,
        overrides={Medium.APNS: {"aps": {"mutable-content": 1}}},
    )
    texts = {
        "push.title": "T",
        "push.link": "app://1",
        "push.buttons[0].title": "A",
        "push.buttons[1].title": "B",
        "push.buttons[1].link": "app://2",
        "push.data.x": "1",
        "push.badge": "0",
        "push.thread_id": "th",
        "push.collapse_id": "co",
    }
    for platform in PLATFORMS:
        assert message(platform, texts, push=content) == PushMessage(
            delivery_id="d-1",
            token="token",
            title="T",
            link="app://1",
            buttons=(Button(id="a", title="A"), Button(id="b", title="B", link="app://2")),
            data={"x": "1", "y": ""},
            badge=0,
            sound="default",
            thread_id="th",
            collapse_id="co",
            category="ORDER",
            channel_id="orders",
            priority="normal",
            ttl_s=0,
            overrides={"aps": {"mutable-content": 1}} if platform is Medium.APNS else {},
        )


def test_a_notification_without_a_badge_leaves_it_alone_and_a_silent_one_says_nothing() -> None:
    made = message(Medium.FCM, {"push.badge": ""}, push=PushContent(silent=True, badge="{{ x }}"))
    assert isinstance(made, PushMessage)
    assert (made.badge, made.silent, made.title, made.ttl_s) == (None, True, "", None)


def test_a_call_goes_to_the_recipient_s_address_or_else_to_the_campaign_s() -> None:
    content = WebhookContent(body={}, url="https://all.example/")
    own = message(Medium.WEBHOOK, {"webhook.body": "{}"}, webhook=content)
    assert own == WebhookMessage(delivery_id="d-1", url="https://me.example/", body=b"{}", date_s=1_700_000_000.0)
    shared = message(Medium.WEBHOOK, {"webhook.body": "{}"}, {"email": "a@b.example"}, webhook=content)
    assert msgspec.structs.asdict(shared)["url"] == "https://all.example/"
