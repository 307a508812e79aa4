"""What is refused of contents of every channel when they are saved, and what they look like before they are sent."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from grpc import StatusCode

from clarion.v1 import campaign_pb2
from clarion.v1 import campaign_service_pb2 as pb
from support.clarion import CAMPAIGN, Clarion, a_campaign, a_recipient, an_email
from support.contents import NUMBER, a_device, a_push, a_webhook, an_sms
from support.refusal import Refused, refused

Field = campaign_pb2.ContextField
CONTEXT = [Field(name="total", type=Field.TYPE_NUMBER), Field(name="lines", type=Field.TYPE_LIST)]
DEEP: Any = "x"
for _ in range(33):
    DEEP = [DEEP]


async def refusal_of(clarion: Clarion, *contents: campaign_pb2.Content) -> Refused:
    campaign = a_campaign(context=CONTEXT, contents=contents)
    return await refused(
        clarion.campaigns.CreateCampaign(pb.CreateCampaignRequest(campaign_id="welcome", campaign=campaign))
    )


async def preview(clarion: Clarion, **fields: Any) -> pb.PreviewCampaignResponse:
    request = pb.PreviewCampaignRequest(**({"name": CAMPAIGN, "recipient": a_recipient()} | fields))
    answer: pb.PreviewCampaignResponse = await clarion.campaigns.PreviewCampaign(request)
    return answer


@pytest.mark.parametrize(
    ("content", "place", "says"),
    [
        (an_sms(text="Hi {{ totl }}"), "sms.text:1:7", "did you mean 'total'?"),
        (an_sms(text=" \n"), "sms.text", "is required"),
        (an_sms(sender="A sender's name"), "sms.sender", "at most 11 letters"),
        (an_sms(sender="+0151123456"), "sms.sender", "must be a number like"),
        (an_sms(text="x" * 1601), "sms.text", "is longer than 1,600 characters"),
        (a_push(title="a\nb{{ total }}"), "push.title:1:2", "this is one line"),
        (a_push(title="", body=" "), "push.title", "one of title and body is required"),
        (a_push(silent=True, body=""), "push.title", "is not shown"),
        (a_push(data={"google.x": "1"}), "push.data.google.x", "is a reserved name"),
        (a_push(data={"order": "{{ nope }}"}), "push.data.order:1:4", "'nope' is not declared"),
        (a_push(buttons=[{"id": "a", "title": "{{ nope }}"}]), "push.buttons[0].title:1:4", "'nope' is not declared"),
        (a_push(buttons=[{"id": "a", "title": "A"}] * 2), "push.buttons[1].id", "is the id of buttons[0] too"),
        (a_push(image="http://img.example/x.png"), "push.image", "https://"),
        (a_push(badge="many"), "push.badge", "is not a whole number"),
        (a_push(collapse_id="x" * 65), "push.collapse_id", "64 bytes at most"),
        (a_push(overrides={"fcm": {"data": {"a": "x" * 4096}}}), "push", "4,096 are the most"),
        (a_push(body="é" * 2000, data={"a": "x" * 100}), "push", "4,096 are the most"),
        (a_webhook({"order": {"total": "ab {{ nope }}"}}), "webhook.body.order.total:1:7", "'nope' is not declared"),
        (a_webhook({"a": ["{{ lines | sizze }}"]}), "webhook.body.a[0]:1:12", "there is no filter 'sizze'"),
        (a_webhook({"a": "{% block x %}{% endblock %}"}), "webhook.body.a:1:4", "'block' can't be used"),
        (a_webhook({"a": "{{ 'x' | as_a_JSON }}"}), "webhook.body.a:1:10", "there is no filter 'as_a_JSON'"),
        (a_webhook({"a": [1, math.inf]}), "webhook.body", "JSON can't write"),
        (a_webhook({"a": math.nan}), "webhook.body", "JSON can't write"),
        (a_webhook({"a": DEEP}), "webhook.body", "has more than 32 levels"),
        (a_webhook({"a": "x" * 65536}), "webhook.body", "it can have 65,536"),
        (a_webhook(url="https://api.example/../x"), "webhook.url", "has . or .. as a part of its path"),
    ],
)
async def test_what_is_wrong_is_refused_with_its_place_in_the_second_content_too(
    clarion: Clarion, content: campaign_pb2.Content, place: str, says: str
) -> None:
    error = await refusal_of(clarion, an_email(), content)
    assert error.says == (StatusCode.INVALID_ARGUMENT, "TEMPLATE_INVALID")
    assert list(error.violations) == [f"campaign.contents[1].{place}"]
    assert says in error.violations[f"campaign.contents[1].{place}"]


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (an_sms(text=""), "sms.text"),
        (an_sms(configuration="Orders"), "channel_configuration"),
        (campaign_pb2.Content(webhook={}), "webhook.body"),
        (a_push(buttons=[{"id": str(n), "title": "x"} for n in range(4)]), "push.buttons"),
        (a_push(buttons=[{"id": "a b", "title": "x"}]), "push.buttons[0].id"),
        (a_push(data={"1st": "x"}), 'push.data["1st"]'),
        (a_push(ttl_s=2_419_201), "push.ttl_s"),
        (a_push(priority=9), "push.priority"),
    ],
)
async def test_what_the_contract_forbids_is_refused_by_its_field(
    clarion: Clarion, content: campaign_pb2.Content, path: str
) -> None:
    error = await refusal_of(clarion, content)
    assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert list(error.violations) == [f"campaign.contents[0].{path}"]


async def test_an_update_names_the_place_in_what_is_stored(clarion: Clarion) -> None:
    await clarion.live_campaign(context=CONTEXT, contents=[a_webhook({"a": "{{ total }}"}), an_email()])
    request = pb.UpdateCampaignRequest(campaign={"name": CAMPAIGN}, update_mask={"paths": ["context"]})
    error = await refused(clarion.campaigns.UpdateCampaign(request))
    assert list(error.violations) == ["campaign.contents[0].webhook.body.a:1:4"]


CONTENTS = [
    an_sms(text="Total {{ total }} – {{ recipient.phone }}", sender="Shop"),
    a_webhook({"total": "{{ total }}", "lines": ["{{ lines }}"]}, url="https://partner.example/all"),
    an_email(),
    a_push(
        title="{{ total }}",
        data={"total": "{{ total }}"},
        buttons=[{"id": "a", "title": "B{{ total }}", "link": "app://{{ total }}"}],
        overrides={"web": {"x": 1}},
        ttl_s=60,
    ),
]
EVERYWHERE = {
    "addresses": {"email": "a@b.example", "sms": "+49 151 12345678", "webhook": "https://me.example/"},
    "devices": [a_device()],
}


async def test_a_preview_shows_what_the_recipient_would_get_on_each_channel(clarion: Clarion) -> None:
    await clarion.live_campaign(context=CONTEXT, contents=CONTENTS)
    recipient = a_recipient(**EVERYWHERE)
    answer = await preview(clarion, recipient=recipient, context={"total": 12.5, "lines": ["é", {"n": None}]})
    assert answer.email.text == "Welcome, user-0."
    assert answer.sms == pb.SmsMessage(sender="Shop", to=NUMBER, text=f"Total 12.5 – {NUMBER}", segments=1)
    assert answer.webhook.url == "https://me.example/"
    assert json.loads(answer.webhook.body) == {"total": 12.5, "lines": [["é", {"n": None}]]}
    wanted = campaign_pb2.PushContent()
    wanted.CopyFrom(CONTENTS[3].push)
    wanted.title, wanted.body, wanted.data["total"] = "12.5", "Welcome, user-0.", "12.5"
    wanted.buttons[0].title, wanted.buttons[0].link = "B12.5", "app://12.5"
    wanted.priority = campaign_pb2.PushContent.PRIORITY_HIGH
    assert answer.push == wanted


async def test_a_preview_shows_no_channel_that_the_recipient_has_no_address_for(clarion: Clarion) -> None:
    await clarion.live_campaign(context=CONTEXT, contents=CONTENTS)
    answer = await preview(clarion, recipient=a_recipient(addresses={"sms": NUMBER}))
    assert {field.name for field, _ in answer.ListFields()} == {"revision", "sms", "webhook"}
    assert answer.webhook.url == "https://partner.example/all"


async def test_one_channel_can_be_asked_for(clarion: Clarion) -> None:
    await clarion.live_campaign(context=CONTEXT, contents=CONTENTS)
    answer = await preview(clarion, recipient=a_recipient(**EVERYWHERE), channel="sms")
    assert {field.name for field, _ in answer.ListFields()} == {"revision", "sms"}

    unreached = await refused(preview(clarion, recipient=a_recipient(), channel="push"))
    assert unreached.says == (StatusCode.INVALID_ARGUMENT, "RECIPIENTS_REFUSED")
    assert list(unreached.violations) == ["recipient.devices"]

    other = await refused(preview(clarion, channel="fax"))
    assert list(other.violations) == ["channel"]


async def test_a_channel_that_the_campaign_does_not_use_can_t_be_shown(clarion: Clarion) -> None:
    await clarion.live_campaign()
    error = await refused(preview(clarion, channel="sms"))
    assert error.violations == {"channel": "the campaign says nothing there; it has content for email"}


async def test_what_can_t_be_rendered_is_told_of_every_channel(clarion: Clarion) -> None:
    broken = "{{ 1 // (total - 1) }}"
    contents = [an_email(), an_sms(text="\n" + broken), a_webhook({"a": {"b": broken}})]
    await clarion.live_campaign(context=CONTEXT, contents=contents)
    error = await refused(preview(clarion, recipient=a_recipient(**EVERYWHERE), context={"total": 1}))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "TEMPLATE_INVALID")
    assert error.violations == {
        "campaign.contents[1].sms": "sms.text, line 2: ZeroDivisionError",
        "campaign.contents[2].webhook": "webhook.body.a.b, line 1: ZeroDivisionError",
    }
