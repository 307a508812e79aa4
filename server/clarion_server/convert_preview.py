"""Rendered messages as PreviewCampaign shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clarion.v1 import campaign_pb2
from clarion.v1 import campaign_service_pb2 as pb
from clarion_core.content.types import AMP, BODY, HTML, SMS, SUBJECT, TEXT, RenderedTexts
from clarion_core.domain.campaign import Campaign
from clarion_core.domain.content import EmailContent, PushContent, SmsContent, WebhookContent
from clarion_core.domain.medium import Channel
from clarion_core.domain.recipient import Recipient
from clarion_core.domain.sms_text import segments
from clarion_server.convert_content import from_push


def from_preview(
    campaign: Campaign, recipient: Recipient, rendered: Mapping[Channel, RenderedTexts]
) -> pb.PreviewCampaignResponse:
    """What a recipient would get of a campaign."""
    response = pb.PreviewCampaignResponse(revision=campaign.revision)
    contents = campaign.definition.contents
    for channel, texts in rendered.items():
        match contents[channel]:
            case EmailContent() as email:
                response.email.CopyFrom(_email(email, recipient, texts))
            case SmsContent() as sms:
                response.sms.CopyFrom(_sms(sms, recipient, texts))
            case PushContent() as push:
                response.push.CopyFrom(_push(push, texts))
            case WebhookContent() as webhook:
                url = recipient.addresses.get(channel) or webhook.url
                response.webhook.CopyFrom(pb.WebhookMessage(url=url, body=texts.get(BODY)))
    return response


def _email(email: EmailContent, recipient: Recipient, texts: RenderedTexts) -> pb.EmailMessage:
    return pb.EmailMessage(
        to=recipient.addresses[Channel.EMAIL],
        subject=texts.get(SUBJECT),
        html=texts.get(HTML),
        text=texts.get(TEXT),
        amp=texts.get(AMP),
        cc=filter(None, (texts.get(f"email.cc[{index}]") for index in range(len(email.cc)))),
        headers={name: texts.get(f"email.headers.{name}") for name in email.headers},
        **{"from": email.sender},
    )


def _sms(sms: SmsContent, recipient: Recipient, texts: RenderedTexts) -> pb.SmsMessage:
    text = texts.get(SMS)
    return pb.SmsMessage(sender=sms.sender, to=recipient.addresses[Channel.SMS], text=text, segments=segments(text))


def _push(push: PushContent, texts: RenderedTexts) -> campaign_pb2.PushContent:
    said: dict[str, Any] = {name: texts.get(f"push.{name}") for name in _TEXTS}
    buttons = tuple(
        replace(button, title=texts.get(f"push.buttons[{index}].title"), link=texts.get(f"push.buttons[{index}].link"))
        for index, button in enumerate(push.buttons)
    )
    data = {name: texts.get(f"push.data.{name}") for name in push.data}
    return from_push(replace(push, buttons=buttons, data=data, **said))


_TEXTS = ("title", "body", "link", "image", "badge", "thread_id", "collapse_id")
