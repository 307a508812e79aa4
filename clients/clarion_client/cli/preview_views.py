"""How rendered messages look to people, each as its recipient would read it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from google.protobuf.json_format import MessageToDict
from rich.console import RenderableType
from rich.text import Text

from clarion.v1.campaign_pb2 import PushContent
from clarion.v1.campaign_service_pb2 import EmailMessage, PreviewCampaignResponse, SmsMessage, WebhookMessage
from clarion_client.cli.output import grid
from clarion_client.cli.times import span_text

_FIXED = ("sound", "badge", "thread_id", "collapse_id", "category", "channel_id")


def preview(answer: PreviewCampaignResponse) -> Iterator[RenderableType]:
    """The message of each channel; of several, each under its channel's name."""
    found: list[tuple[str, Iterator[RenderableType]]] = []
    if answer.HasField("email"):
        found.append(("email", _email(answer.email)))
    if answer.HasField("sms"):
        found.append(("sms", _sms(answer.sms)))
    if answer.HasField("push"):
        found.append(("push", _push(answer.push)))
    if answer.HasField("webhook"):
        found.append(("webhook", _webhook(answer.webhook)))
    for index, (channel, message) in enumerate(found):
        if len(found) > 1:
            yield Text(f"{'' if index == 0 else chr(10)}{channel}", "bold cyan")
        yield from message


def _email(email: EmailMessage) -> Iterator[RenderableType]:
    yield grid([("from", getattr(email, "from")), ("to", email.to), ("subject", Text(email.subject, "bold"))])
    if email.text:
        yield Text(f"\n{email.text.rstrip()}")
    if email.html:
        yield Text("\nand an HTML body: --html writes it", "dim")


def _sms(sms: SmsMessage) -> Iterator[RenderableType]:
    segments = f"{sms.segments} segment{'' if sms.segments == 1 else 's'}"
    head: list[tuple[str, RenderableType]] = [
        ("from", sms.sender or Text("the channel configuration's sender", "dim")),
        ("to", sms.to),
        ("size", f"{len(sms.text):,} characters, {segments}"),
    ]
    yield grid(head)
    yield Text(f"\n{sms.text}")


def _push(push: PushContent) -> Iterator[RenderableType]:
    yield grid(_push_rows(push))


def _push_rows(push: PushContent) -> Iterator[tuple[str, RenderableType]]:
    if push.silent:
        yield "silent", "nothing is shown; the app is woken"
    if push.title:
        yield "title", Text(push.title, "bold")
    if push.body:
        yield "body", Text(push.body)
    for index, button in enumerate(push.buttons):
        yield "" if index else "buttons", Text(f"[{button.title}]").append(f"  {button.link or button.id}", "dim")
    yield from ((label, value) for label, value in (("opens", push.link), ("image", push.image)) if value)
    for index, (name, value) in enumerate(sorted(push.data.items())):
        yield "" if index else "data", Text(f"{name} = ").append(value)
    yield from ((name.replace("_", " "), value) for name in _FIXED if (value := getattr(push, name)))
    yield from _platform_rows(push)


def _platform_rows(push: PushContent) -> Iterator[tuple[str, RenderableType]]:
    if push.priority == PushContent.PRIORITY_NORMAL:
        yield "priority", "normal"
    if push.HasField("ttl_s"):
        yield "kept for", span_text(push.ttl_s) if push.ttl_s else "now or never"
    for index, (platform, values) in enumerate(MessageToDict(push.overrides).items()):
        yield "" if index else "overrides", Text(f"{platform}: {json.dumps(values, ensure_ascii=False)}")


def _webhook(webhook: WebhookMessage) -> Iterator[RenderableType]:
    body = json.dumps(json.loads(webhook.body), indent=2, ensure_ascii=False)
    yield grid([("calls", webhook.url)])
    yield Text(f"\n{body}")
