"""From rendered texts to the message that a channel takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clarion_core.content.types import AMP, BODY, HTML, SMS, SUBJECT, TEXT, RenderedTexts
from clarion_core.domain.campaign import Definition
from clarion_core.domain.content import EmailContent, PushContent, SmsContent, WebhookContent
from clarion_core.domain.medium import Channel, Medium
from clarion_core.domain.sms_text import segments
from clarion_core.store.triggers import StoredDelivery
from clarion_workers.channels import Message
from clarion_workers.channels.email import EmailMessage
from clarion_workers.channels.email.attachments import Attachment
from clarion_workers.channels.push.message import Button, PushMessage
from clarion_workers.channels.sms.message import SmsMessage
from clarion_workers.channels.webhook.message import WebhookMessage

Assembler = Callable[[StoredDelivery, RenderedTexts], Message]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What the messages of a batch have in common: `campaign` is its key, `now_s` seconds since 1970."""

    campaign: str
    definition: Definition
    medium: Medium
    now_s: float


def assembler(batch: Batch) -> Assembler:
    """How the messages of a batch are put together.

    A delivery's recipient has an address for the medium's channel: on push, the token of the one device.
    """
    content: Any = batch.definition.contents[batch.medium.channel]
    return _ASSEMBLERS[batch.medium.channel](content, batch)


def _emails(content: EmailContent, batch: Batch) -> Assembler:
    workspace, _, campaign = batch.campaign.partition("/")
    category = batch.definition.category.value
    files = tuple(
        Attachment(name=file.name, content_type=file.content_type, data=file.data, content_id=file.content_id)
        for file in content.attachments
    )
    cc = [f"email.cc[{index}]" for index in range(len(content.cc))]
    ways = [f"email.list_unsubscribe[{index}]" for index in range(len(content.list_unsubscribe))]

    def assemble(delivery: StoredDelivery, rendered: RenderedTexts) -> EmailMessage:
        texts, said = rendered.texts, rendered.get
        return EmailMessage(
            delivery_id=delivery.id,
            sender=content.sender,
            reply_to=content.reply_to,
            to_address=delivery.recipient.addresses["email"],
            subject=texts[SUBJECT].decode(),
            html=texts.get(HTML, b""),
            text=texts.get(TEXT, b""),
            amp=texts.get(AMP, b""),
            cc=tuple(filter(None, map(said, cc))),
            bcc=content.bcc,
            attachments=files,
            headers=tuple((name, said(f"email.headers.{name}")) for name in content.headers),
            list_unsubscribe=tuple(filter(None, map(said, ways))),
            date_s=batch.now_s,
            workspace=workspace,
            campaign=campaign,
            category=category,
        )

    return assemble


def _sms(content: SmsContent, _: Batch) -> Assembler:
    def assemble(delivery: StoredDelivery, rendered: RenderedTexts) -> SmsMessage:
        text = rendered.get(SMS)
        return SmsMessage(
            delivery_id=delivery.id,
            sender=content.sender,
            to_number=delivery.recipient.addresses["sms"],
            text=text,
            segments=segments(text),
        )

    return assemble


def _pushes(content: PushContent, batch: Batch) -> Assembler:
    overrides = content.overrides.get(batch.medium, {})

    def assemble(delivery: StoredDelivery, rendered: RenderedTexts) -> PushMessage:
        said = rendered.get
        badge = said("push.badge")
        return PushMessage(
            delivery_id=delivery.id,
            token=delivery.recipient.addresses["push"],
            title=said("push.title"),
            body=said("push.body"),
            link=said("push.link"),
            image=said("push.image"),
            buttons=tuple(
                Button(
                    id=button.id, title=said(f"push.buttons[{index}].title"), link=said(f"push.buttons[{index}].link")
                )
                for index, button in enumerate(content.buttons)
            ),
            data={name: said(f"push.data.{name}") for name in content.data},
            silent=content.silent,
            badge=int(badge) if badge else None,
            sound=content.sound,
            thread_id=said("push.thread_id"),
            collapse_id=said("push.collapse_id"),
            category=content.category,
            channel_id=content.channel_id,
            priority=content.priority.value,
            ttl_s=content.ttl_s,
            overrides=overrides,
        )

    return assemble


def _calls(content: WebhookContent, batch: Batch) -> Assembler:
    def assemble(delivery: StoredDelivery, rendered: RenderedTexts) -> WebhookMessage:
        return WebhookMessage(
            delivery_id=delivery.id,
            url=delivery.recipient.addresses.get("webhook") or content.url,
            body=rendered.texts[BODY],
            date_s=batch.now_s,
        )

    return assemble


_ASSEMBLERS: Mapping[Channel, Callable[[Any, Batch], Assembler]] = {
    Channel.EMAIL: _emails,
    Channel.SMS: _sms,
    Channel.PUSH: _pushes,
    Channel.WEBHOOK: _calls,
}
