"""Every channel through the children that render: kept apart, and held to the same limits."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clarion_core.content.renderer import Renderer
from clarion_core.content.types import RenderedTexts, RenderFailure, Revision
from clarion_core.content.wire import Limits
from clarion_core.domain.campaign import Definition
from clarion_core.domain.content import EmailContent, PushContent, SmsContent, WebhookContent
from clarion_core.domain.medium import Channel
from support.render_children import children_of
from support.templates import in_transit, render, request

SPINS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
CONTENTS: dict[str, Any] = {
    "email": EmailContent(sender="a@b.example", subject="{{ recipient.user_id }}", text="t"),
    "sms": SmsContent(text="{{ recipient.phone }}"),
    "push": PushContent(title="{{ recipient.user_id }}", data={"a": "{{ profile.n }}"}),
    "webhook": WebhookContent(body={"n": "{{ profile.n }}", "to": ["{{ recipient.email }}"]}),
}


@pytest.fixture
async def renderer() -> AsyncIterator[Renderer]:
    made = Renderer(Limits(render_s=0.1, compile_s=2.0, memory_mib=256))
    yield made
    await made.close()


def revision(key: str, **contents: Any) -> Revision:
    return Revision(key=key, campaign_id="c", definition=Definition(**contents))


async def test_one_revision_says_something_else_on_each_channel_and_one_child_keeps_them_apart(
    renderer: Renderer,
) -> None:
    said = revision("r", **CONTENTS)
    requests = [request(user_id=f"u-{n}", phone="+4915112345678", profile={"n": n}) for n in range(3)]
    for _ in range(2):
        for channel in Channel:
            found = await renderer.render(said, channel, [in_transit(each) for each in requests])
            assert found == render(said, requests, channel)
            assert all(isinstance(each, RenderedTexts) for each in found)
    assert len(children_of(os.getpid())) == 1


async def test_a_channel_that_nothing_is_said_on_fails_and_the_others_do_not(renderer: Renderer) -> None:
    said = revision("r", sms=CONTENTS["sms"])
    [failed] = await renderer.render(said, Channel.PUSH, [in_transit(request())])
    assert failed == RenderFailure(detail="can't be compiled: LookupError")
    [sent] = await renderer.render(said, Channel.SMS, [in_transit(request(phone="+1"))])
    assert sent == RenderedTexts(texts={"sms.text": b"+1"})


@pytest.mark.parametrize(
    ("channel", "content", "place"),
    [
        (Channel.SMS, SmsContent(text="\n" + SPINS), "sms.text, line 2"),
        (Channel.PUSH, PushContent(title="x", data={"a": SPINS}), "push.data.a, line 1"),
        (Channel.WEBHOOK, WebhookContent(body={"a": ["x", "\n\n" + SPINS]}), "webhook.body.a[1], line 3"),
    ],
)
async def test_a_loop_is_told_with_its_place(renderer: Renderer, channel: Channel, content: Any, place: str) -> None:
    said = revision(place, **{channel.value: content})
    [failed] = await renderer.render(said, channel, [in_transit(request())])
    assert failed == RenderFailure(detail=f"{place}: took longer than 100 ms")
