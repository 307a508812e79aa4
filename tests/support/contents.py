"""Contents of every channel, as callers write them."""

from __future__ import annotations

from typing import Any

from clarion.v1 import campaign_pb2, trigger_pb2

TOKENS = {
    trigger_pb2.Device.PLATFORM_FCM: "dQw4w9:APA91bHexample",
    trigger_pb2.Device.PLATFORM_APNS: "0f" * 32,
    trigger_pb2.Device.PLATFORM_WEB: '{"endpoint":"https://push.example/send/abc","keys":{"p256dh":"'
    + "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ"
    + '","auth":"BAQEBAQEBAQEBAQEBAQEBA"}}',
}
NUMBER = "+4915112345678"


def an_sms(configuration: str = "", **fields: Any) -> campaign_pb2.Content:
    """Content of a text message."""
    values = {"text": "Hello {{ recipient.user_id }}"} | fields
    return campaign_pb2.Content(sms=campaign_pb2.SmsContent(**values), channel_configuration=configuration)


def a_push(configuration: str = "", **fields: Any) -> campaign_pb2.Content:
    """Content of a notification."""
    values = {"title": "Hello", "body": "Welcome, {{ recipient.user_id }}."} | fields
    return campaign_pb2.Content(push=campaign_pb2.PushContent(**values), channel_configuration=configuration)


def a_webhook(body: Any = None, configuration: str = "", **fields: Any) -> campaign_pb2.Content:
    """Content of a call; `body` is plain Python."""
    webhook = campaign_pb2.WebhookContent(**fields)
    content = campaign_pb2.Content(webhook=webhook, channel_configuration=configuration)
    content.webhook.body.struct_value.update({"user": "{{ recipient.user_id }}"} if body is None else body)
    return content


def a_device(platform: trigger_pb2.Device.Platform.ValueType = trigger_pb2.Device.PLATFORM_FCM) -> trigger_pb2.Device:
    """A device of a platform."""
    return trigger_pb2.Device(platform=platform, token=TOKENS[platform])
