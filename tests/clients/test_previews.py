"""`clarion campaigns preview` and `clarion trigger` on every channel."""

from __future__ import annotations

from pathlib import Path

import pytest

from clarion.v1.campaign_pb2 import PushContent
from clarion.v1.campaign_service_pb2 import EmailMessage, PreviewCampaignResponse, SmsMessage, WebhookMessage
from clarion.v1.trigger_pb2 import Device, Trigger
from clarion.v1.trigger_service_pb2 import CreateTriggerResponse
from clients.conftest import Cli
from clients.scripted_server import Script

EVERYTHING = PreviewCampaignResponse(
    email=EmailMessage(to="ana@example.com", subject="Hello [b]", text="Dear Ana", **{"from": "shop@example.com"}),
    sms=SmsMessage(to="+4915112345678", text="Dear [b]Ana[/b]\nbye", segments=1),
    push=PushContent(
        title="Hello",
        body="Dear\nAna",
        link="app://1",
        buttons=[{"id": "a", "title": "Track", "link": "https://t.example"}, {"id": "b", "title": "[Help]"}],
        data={"n": "1", "a": "x"},
        badge="2",
        ttl_s=0,
        priority=PushContent.PRIORITY_NORMAL,
        overrides={"apns": {"aps": {"x": 1}}},
    ),
    webhook=WebhookMessage(url="https://me.example/", body='{"a":{"é":[1]}}'),
)
SHOWN = """\
email
from     shop@example.com
to       ana@example.com
subject  Hello [b]

Dear Ana

sms
from  the channel configuration's sender
to    +4915112345678
size  19 characters, 1 segment

Dear [b]Ana[/b]
bye

push
title      Hello
body       Dear
           Ana
buttons    [Track]  https://t.example
           [[Help]]  b
opens      app://1
data       a = x
           n = 1
badge      2
priority   normal
kept for   now or never
overrides  apns: {"aps": {"x": 1.0}}

webhook
calls  https://me.example/

{
  "a": {
    "é": [
      1
    ]
  }
}
"""


async def test_a_preview_shows_each_channel_as_its_recipient_would_read_it(script: Script, cli: Cli) -> None:
    script.on("PreviewCampaign", EVERYTHING)
    ended = await cli(
        *("campaigns", "preview", "welcome", "--to", "ana@example.com", "--phone", "+49151 12345678"),
        *("--webhook", "https://me.example/", "--device", "fcm:abc"),
    )
    assert [line.rstrip() for line in ended.out.splitlines()] == SHOWN.splitlines()
    [request] = script.requests("PreviewCampaign")
    assert dict(request.recipient.addresses) == {
        "email": "ana@example.com", "sms": "+49151 12345678", "webhook": "https://me.example/",
    }  # fmt: skip
    assert list(request.recipient.devices) == [Device(platform=Device.PLATFORM_FCM, token="abc")]
    assert request.recipient.user_id == "ana@example.com"


async def test_one_channel_can_be_asked_for_and_is_shown_without_a_heading(script: Script, cli: Cli) -> None:
    script.on("PreviewCampaign", PreviewCampaignResponse(push=PushContent(silent=True)))
    preview = ("campaigns", "preview", "welcome", "--device", "apns:0f", "--channel", "push")
    assert (await cli(*preview)).out == "silent  nothing is shown; the app is woken\n"
    assert script.requests("PreviewCampaign")[0].channel == "push"
    assert (await cli(*preview, "-o", "json")).json["push"]["silent"] is True


async def test_a_trigger_goes_to_a_phone_and_to_devices_as_well(script: Script, cli: Cli, tmp_path: Path) -> None:
    script.on("CreateTrigger", CreateTriggerResponse(trigger=Trigger(name="campaigns/welcome/triggers/x")))
    (tmp_path / "subscription.json").write_text('{"endpoint": "https://push.example/x"}\n')
    trigger = ("trigger", "welcome", "--phone", "+4915112345678", "--device", f"web:@{tmp_path}/subscription.json")
    assert (await cli(*trigger)).code == 0
    [recipient] = script.requests("CreateTrigger")[0].recipients
    assert (recipient.user_id, dict(recipient.addresses)) == ("+4915112345678", {"sms": "+4915112345678"})
    assert recipient.devices[0].token == '{"endpoint": "https://push.example/x"}'


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("trigger", "welcome"), 2, "say who"),
        (("campaigns", "preview", "welcome"), 2, "say who"),
        (("trigger", "welcome", "--device", "pager:1"), 2, "write fcm, apns, web and the token"),
        (("trigger", "welcome", "--device", "fcm:"), 2, "write fcm, apns, web and the token"),
        (("trigger", "welcome", "--device", "fcm:@/no/such/file"), 4, "No such file"),
        (("trigger", "welcome", "--phone", "+49", "--file", "x.jsonl"), 2, "come from its lines"),
    ],
)
async def test_what_can_t_be_meant_is_said_before_anything_is_sent(
    script: Script, cli: Cli, arguments: tuple[str, ...], code: int, says: str
) -> None:
    ended = await cli(*arguments)
    assert ended.code == code
    assert says in " ".join(ended.err.replace("│", " ").split())
    assert script.requests("CreateTrigger") == script.requests("PreviewCampaign") == []
