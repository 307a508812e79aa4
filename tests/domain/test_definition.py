"""What a definition says on which channels; what was stored before a channel existed reads as before."""

from __future__ import annotations

import msgspec

from clarion_core.domain.campaign import Definition
from clarion_core.domain.content import EmailContent, PushContent, SmsContent, WebhookContent
from clarion_core.domain.medium import Channel, Medium
from clarion_core.store.records import decode_definition, encode

EMAIL = EmailContent(sender="a@b.example", subject="s", text="t")


def test_channels_stand_in_the_order_in_which_they_were_written_with_their_configurations() -> None:
    definition = Definition(
        email=EMAIL,
        sms=SmsContent(text="t", configuration="orders-sms"),
        webhook=WebhookContent(body={}),
        order=(Channel.WEBHOOK, Channel.EMAIL, Channel.SMS),
    )
    assert list(definition.channels.items()) == [
        (Channel.WEBHOOK, "webhook"),
        (Channel.EMAIL, "email"),
        (Channel.SMS, "orders-sms"),
    ]
    assert list(Definition(sms=SmsContent(text="t"), email=EMAIL).contents) == [Channel.EMAIL, Channel.SMS]
    assert Definition().contents == {}


def test_a_definition_is_read_as_it_was_stored() -> None:
    definition = Definition(
        email=EMAIL,
        sms=SmsContent(text="t", transliterate=True),
        push=PushContent(title="t", data={"a": "b"}, ttl_s=0, overrides={Medium.WEB_PUSH: {"x": [1, None]}}),
        webhook=WebhookContent(body=["{{ x }}", {"a": 1.5}]),
        order=tuple(Channel),
    )
    assert decode_definition(encode(definition)) == definition


def test_a_definition_of_the_time_before_other_channels_reads_as_an_email() -> None:
    stored = {
        "display_name": "Welcome",
        "category": "marketing",
        "context": [],
        "email": {"sender": "a@b.example", "subject": "s", "reply_to": "", "html": "", "text": "t"},
        "time_to_live_s": 60,
    }
    definition = decode_definition(msgspec.msgpack.encode(stored))
    assert definition.email == EMAIL
    assert definition.channels == {Channel.EMAIL: "email"}
