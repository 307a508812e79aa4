"""What a campaign says on each channel, between the contract and the domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from clarion.v1 import campaign_pb2
from clarion_core.domain.campaign import Definition
from clarion_core.domain.content import (
    Attachment,
    Content,
    EmailContent,
    PushButton,
    PushContent,
    PushPriority,
    SmsContent,
    WebhookContent,
)
from clarion_core.domain.errors import FieldProblem, InvalidRequest
from clarion_core.domain.medium import Channel, Medium
from clarion_server.values import from_struct, from_value, to_struct, to_value

Proto = campaign_pb2.Content

PRIORITIES = {
    PushPriority.HIGH: campaign_pb2.PushContent.PRIORITY_HIGH,
    PushPriority.NORMAL: campaign_pb2.PushContent.PRIORITY_NORMAL,
}
_PRIORITIES = {number: value for value, number in PRIORITIES.items()}


def to_contents(protos: Iterable[Proto]) -> dict[str, object]:
    """What a definition is given for these contents, each by its channel's name. A channel twice is refused."""
    found: dict[Channel, Content] = {}
    for index, proto in enumerate(protos):
        channel = Channel(proto.WhichOneof("kind") or "")
        if channel in found:
            description = f"{channel.value} has content already; each channel has it once"
            raise InvalidRequest.of([FieldProblem(path=f"campaign.contents[{index}]", description=description)])
        found[channel] = replace(_TO[channel](proto), configuration=proto.channel_configuration)
    contents: dict[str, object] = {channel.value: found.get(channel) for channel in Channel}
    return contents | {"order": tuple(found)}


def from_contents(definition: Definition) -> list[Proto]:
    """The contents as the contract shows them, in the order in which they were written."""
    return [from_content(content) for content in definition.contents.values()]


def from_content(content: Content) -> Proto:
    """One content as the contract shows it."""
    match content:
        case EmailContent():
            proto = Proto(email=_from_email(content))
        case SmsContent():
            sms = campaign_pb2.SmsContent(sender=content.sender, text=content.text, transliterate=content.transliterate)
            proto = Proto(sms=sms)
        case PushContent():
            proto = Proto(push=from_push(content))
        case WebhookContent():
            proto = Proto(webhook=campaign_pb2.WebhookContent(url=content.url, body=to_value(content.body)))
    proto.channel_configuration = content.configuration
    return proto


def _to_email(content: Proto) -> EmailContent:
    proto = content.email
    return EmailContent(
        sender=getattr(proto, "from"),
        reply_to=proto.reply_to,
        subject=proto.subject,
        html=proto.html,
        text=proto.text,
        amp=proto.amp,
        cc=tuple(proto.cc),
        bcc=tuple(proto.bcc),
        attachments=tuple(map(_to_file, proto.attachments)),
        headers=dict(proto.headers),
        list_unsubscribe=tuple(proto.list_unsubscribe),
    )


def _to_file(proto: campaign_pb2.EmailContent.Attachment) -> Attachment:
    """Data are described as they are, whatever is said of them; without them, `sha256` says which are meant."""
    return Attachment(
        name=proto.name,
        content_type=proto.content_type,
        data=proto.data,
        content_id=proto.content_id,
        sha256="" if proto.data else proto.sha256,
    )


def _from_email(email: EmailContent) -> campaign_pb2.EmailContent:
    files = [
        campaign_pb2.EmailContent.Attachment(
            name=file.name,
            content_type=file.content_type,
            data=file.data,
            content_id=file.content_id,
            sha256=file.sha256,
            size_bytes=file.size,
        )
        for file in email.attachments
    ]
    return campaign_pb2.EmailContent(
        reply_to=email.reply_to,
        subject=email.subject,
        html=email.html,
        text=email.text,
        amp=email.amp,
        cc=email.cc,
        bcc=email.bcc,
        attachments=files,
        headers=email.headers,
        list_unsubscribe=email.list_unsubscribe,
        **{"from": email.sender},
    )


def _to_sms(content: Proto) -> SmsContent:
    proto = content.sms
    return SmsContent(sender=proto.sender, text=proto.text, transliterate=proto.transliterate)


def _to_push(content: Proto) -> PushContent:
    proto = content.push
    return PushContent(
        title=proto.title,
        body=proto.body,
        link=proto.link,
        image=proto.image,
        buttons=tuple(PushButton(id=each.id, title=each.title, link=each.link) for each in proto.buttons),
        data=dict(proto.data),
        silent=proto.silent,
        badge=proto.badge,
        sound=proto.sound,
        thread_id=proto.thread_id,
        collapse_id=proto.collapse_id,
        category=proto.category,
        channel_id=proto.channel_id,
        priority=_PRIORITIES.get(proto.priority, PushPriority.HIGH),
        ttl_s=proto.ttl_s if proto.HasField("ttl_s") else None,
        overrides={
            Medium(field.name): from_struct(getattr(proto.overrides, field.name))
            for field, _ in proto.overrides.ListFields()
        },
    )


def from_push(push: PushContent) -> campaign_pb2.PushContent:
    """A notification as the contract shows it."""
    overrides = {platform.value: to_struct(values) for platform, values in push.overrides.items()}
    return campaign_pb2.PushContent(
        title=push.title,
        body=push.body,
        link=push.link,
        image=push.image,
        buttons=[
            campaign_pb2.PushContent.Button(id=each.id, title=each.title, link=each.link) for each in push.buttons
        ],
        data=push.data,
        silent=push.silent,
        badge=push.badge,
        sound=push.sound,
        thread_id=push.thread_id,
        collapse_id=push.collapse_id,
        category=push.category,
        channel_id=push.channel_id,
        priority=PRIORITIES[push.priority],
        ttl_s=push.ttl_s,
        overrides=campaign_pb2.PushContent.Overrides(**overrides) if overrides else None,
    )


def _to_webhook(content: Proto) -> WebhookContent:
    return WebhookContent(url=content.webhook.url, body=from_value(content.webhook.body))


_TO: Mapping[Channel, Callable[[Proto], Content]] = {
    Channel.EMAIL: _to_email,
    Channel.SMS: _to_sms,
    Channel.PUSH: _to_push,
    Channel.WEBHOOK: _to_webhook,
}
