"""The example campaign on all four channels: applied from its files, previewed and triggered for its example lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clarion.v1 import campaign_pb2, trigger_service_pb2
from clarion.v1 import campaign_service_pb2 as pb
from clarion_client.cli import campaign_files
from clarion_client.values import to_recipient, to_struct
from support.clarion import Clarion

EXAMPLES = Path(__file__).parents[2] / "examples"
LINES = [json.loads(line) for line in (EXAMPLES / "order-updates.jsonl").read_text("utf-8").splitlines()]
NAME = "campaigns/order-update"


@pytest.fixture
async def applied(clarion: Clarion) -> Clarion:
    read = campaign_files.read(EXAMPLES / "campaigns/order-update/campaign.yaml")
    create = pb.CreateCampaignRequest(campaign_id=read.campaign_id, campaign=read.campaign)
    await clarion.campaigns.CreateCampaign(create)
    await clarion.campaigns.ActivateCampaign(pb.ActivateCampaignRequest(name=NAME))
    return clarion


async def preview(clarion: Clarion, line: dict[str, Any]) -> pb.PreviewCampaignResponse:
    recipient, context = to_recipient(line["recipients"][0]), to_struct(line["context"])
    request = pb.PreviewCampaignRequest(name=NAME, recipient=recipient, context=context)
    answer: pb.PreviewCampaignResponse = await clarion.campaigns.PreviewCampaign(request)
    return answer


async def test_everybody_gets_each_message_that_there_is_an_address_for(applied: Clarion) -> None:
    shown = [await preview(applied, line) for line in LINES]
    channels = [{field.name for field, _ in answer.ListFields()} - {"revision"} for answer in shown]
    assert channels == [{"email", "sms", "push", "webhook"}, {"sms"}, {"email", "push"}, {"webhook"}]
    for line, answer in zip(LINES, shown, strict=True):
        for text in (answer.email.text, answer.email.html, answer.email.subject, answer.sms.text, answer.push.title):
            assert not text or line["context"]["order_id"] in text
        assert "None" not in str(answer)


async def test_a_text_message_fits_in_one_segment(applied: Clarion) -> None:
    first, second, *_ = [await preview(applied, line) for line in LINES[:2]]
    assert first.sms.text == (
        "Your order LL-104007 is on its way. Expected on 24 Nov 2026.\nhttps://track.northwind.example/NW447188203"
    )
    assert second.sms.text.startswith("Ihre Bestellung LL-104112 verspätet sich. Voraussichtlich am 27.11.2026.\n")
    assert (first.sms.to, first.sms.segments, second.sms.segments) == ("+447700900123", 1, 1)


async def test_a_notification_is_complete(applied: Clarion) -> None:
    push = (await preview(applied, LINES[0])).push
    assert push.title == "Your order LL-104007 is on its way"
    assert push.body == "Expected on Tuesday, 24 November 2026"
    assert [(each.id, each.title, each.link) for each in push.buttons] == [
        ("track", "Track parcel", "https://track.northwind.example/NW447188203"),
        ("help", "Get help", "lumenloom://help/LL-104007"),
    ]
    assert dict(push.data) == {"order_id": "LL-104007", "status": "shipped"}
    assert (push.link, push.badge, push.collapse_id) == ("lumenloom://orders/LL-104007", "2", "order-LL-104007")
    assert push.image == "https://img.shop.example/p/oak-board.jpg"
    assert push.overrides.apns["aps"]["interruption-level"] == "time-sensitive"
    without = (await preview(applied, LINES[2])).push
    assert (without.image, without.badge, without.body) == ("", "1", "Colis Bleu, colis CB-88-1204")


async def test_a_document_has_the_values_with_their_types(applied: Clarion) -> None:
    webhook = (await preview(applied, LINES[3])).webhook
    assert webhook.url == "https://erp.partner.example/orders?source=lumenloom"
    context = LINES[3]["context"]
    assert json.loads(webhook.body) == {
        "type": "order.updated",
        "data": {
            "order_id": "LL-104091",
            "status": "shipped",
            "changed_at": "2026-11-22T11:05:00+01:00",
            "expected_at": None,
            "customer": "partner-7",
            "summary": "12 items, €144.50",
            "total": {"amount": 144.5, "currency": "EUR"},
            "parcel": context["parcel"],
            "items": context["items"],
        },
    }


async def test_every_line_can_be_triggered(applied: Clarion) -> None:
    for line in LINES:
        request = trigger_service_pb2.CreateTriggerRequest(
            campaign=NAME,
            recipients=[to_recipient(each) for each in line["recipients"]],
            context=to_struct(line["context"]),
            validate_only=True,
        )
        assert not (await applied.triggers.CreateTrigger(request)).trigger.refusals


async def test_what_is_stored_reads_as_the_files_say(applied: Clarion) -> None:
    stored = (await applied.campaigns.GetCampaign(pb.GetCampaignRequest(name=NAME))).campaign
    read = campaign_files.read(EXAMPLES / "campaigns/order-update/campaign.yaml").campaign
    push = campaign_pb2.PushContent()
    push.CopyFrom(read.contents[2].push)
    push.priority = campaign_pb2.PushContent.PRIORITY_HIGH
    assert [each.WhichOneof("kind") for each in stored.contents] == ["email", "sms", "push", "webhook"]
    assert stored.contents[2].push == push
    assert (stored.contents[0], stored.contents[1], stored.contents[3]) == (
        read.contents[0], read.contents[1], read.contents[3],
    )  # fmt: skip
