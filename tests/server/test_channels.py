"""Campaigns on several channels: their contents as they are kept, and the recipients that they can reach."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode

from clarion.v1 import campaign_pb2, channel_configuration_pb2, channel_configuration_service_pb2, trigger_pb2
from clarion.v1 import campaign_service_pb2 as pb
from clarion_server.values import to_struct
from support.clarion import Clarion, a_campaign, a_recipient, a_trigger, an_email
from support.contents import NUMBER, TOKENS, a_device, a_push, a_webhook, an_sms
from support.refusal import refused

Device = trigger_pb2.Device
EVERYTHING = a_push(
    "orders-push",
    title="T",
    body="B",
    link="app://orders/1",
    image="https://img.example/1.png",
    buttons=[{"id": "track", "title": "Track", "link": "app://track"}],
    data={"order": "{{ recipient.user_id }}", "a": "b"},
    badge="{{ 1 + 1 }}",
    sound="default",
    thread_id="orders",
    collapse_id="order-1",
    category="ORDER",
    channel_id="orders",
    priority=campaign_pb2.PushContent.PRIORITY_NORMAL,
    ttl_s=0,
    overrides={"apns": {"aps": {"mutable-content": 1}}, "fcm": {}},
)


async def configured(clarion: Clarion, content: campaign_pb2.Content) -> None:
    """The configuration that a content names."""
    channel = content.WhichOneof("kind") or ""
    secret = {"env": "CLARION_SECRET_IT"}
    providers = {
        "sms": {"smpp": {"host": "127.0.0.1", "system_id": "clarion"}},
        "push": {"fcm": {"credentials": secret}},
        "webhook": {"webhook": {"secrets": [secret]}},
    }
    settings = {"providers": [{"name": "main", **providers[channel]}]}
    configuration = channel_configuration_pb2.ChannelConfiguration(channel=channel, settings=to_struct(settings))
    await clarion.configurations.CreateChannelConfiguration(
        channel_configuration_service_pb2.CreateChannelConfigurationRequest(
            channel_configuration_id=content.channel_configuration, channel_configuration=configuration
        )
    )


async def test_contents_of_all_channels_read_as_they_were_written_and_in_that_order(clarion: Clarion) -> None:
    contents = [
        a_webhook({"a": [1, None, True, {"b": "{{ recipient.user_id }}"}]}, "partners", url="https://api.example/x"),
        an_sms("orders-sms", sender="Shop", transliterate=True),
        EVERYTHING,
        an_email(),
    ]
    for content in contents[:3]:
        await configured(clarion, content)
    made = await clarion.live_campaign(contents=contents)
    assert list(made.contents) == contents
    read = (await clarion.campaigns.GetCampaign(pb.GetCampaignRequest(name=made.name))).campaign
    assert list(read.contents) == contents


async def test_a_channel_twice_is_refused(clarion: Clarion) -> None:
    campaign = a_campaign(contents=[an_sms(), an_email(), an_sms()])
    error = await refused(
        clarion.campaigns.CreateCampaign(pb.CreateCampaignRequest(campaign_id="welcome", campaign=campaign))
    )
    assert error.violations == {"campaign.contents[2]": "sms has content already; each channel has it once"}


ALL = [an_email(), an_sms(), a_push(), a_webhook()]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"addresses": {"sms": "+49 (151) 123-456 78"}},
        {"addresses": {"webhook": "https://partner.example/hooks"}},
        {"addresses": {}, "devices": [a_device(platform) for platform in TOKENS]},
    ],
    ids=str,
)
async def test_an_address_for_one_of_the_channels_is_enough(clarion: Clarion, fields: dict[str, Any]) -> None:
    await clarion.live_campaign(contents=ALL)
    request = a_trigger(recipients=[a_recipient(**fields)], validate_only=True)
    assert not (await clarion.triggers.CreateTrigger(request)).trigger.refusals


@pytest.mark.parametrize(
    ("contents", "fields", "path", "says"),
    [
        (ALL, {"addresses": {}}, "addresses", "addresses.email, addresses.sms, devices, addresses.webhook"),
        ([an_email()], {"addresses": {"sms": NUMBER}}, "addresses.email", "sends an e-mail"),
        ([an_sms()], {}, "addresses.sms", "sends a text message"),
        ([a_push()], {}, "devices", "sends a notification"),
        ([a_webhook()], {}, "addresses.webhook", "calls an endpoint"),
        (ALL, {"addresses": {"email": "a@b.example", "sms": "0151 12345678"}}, "addresses.sms", "E.164"),
        (ALL, {"addresses": {"email": "a@b.example", "webhook": "x.example/hooks"}}, "addresses.webhook", "https://"),
        (ALL, {"devices": [a_device(), Device(platform=2, token="xyz")]}, "devices[1].token", "hexadecimal"),
        (ALL, {"devices": [a_device(), a_device()]}, "devices[1].token", "is the token of devices[0] too"),
    ],
)
async def test_a_recipient_that_can_t_be_reached_is_refused_by_its_field(
    clarion: Clarion, contents: list[campaign_pb2.Content], fields: dict[str, Any], path: str, says: str
) -> None:
    await clarion.live_campaign(contents=contents)
    error = await refused(clarion.triggers.CreateTrigger(a_trigger(recipients=[a_recipient(**fields)])))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "RECIPIENTS_REFUSED")
    assert list(error.violations) == [f"recipients[0].{path}"]
    assert says in error.violations[f"recipients[0].{path}"]


async def test_an_address_for_a_channel_that_the_campaign_does_not_use_is_not_looked_at(clarion: Clarion) -> None:
    await clarion.live_campaign(contents=[an_email()])
    recipient = a_recipient(devices=[Device(platform=1, token="?")])
    recipient.addresses["sms"] = "call me"
    await clarion.triggers.CreateTrigger(a_trigger(recipients=[recipient], validate_only=True))


async def test_a_campaign_with_an_endpoint_of_its_own_reaches_everybody(clarion: Clarion) -> None:
    await clarion.live_campaign(contents=[a_webhook(url="https://partner.example/hooks")])
    request = a_trigger(recipients=[a_recipient(addresses={})], validate_only=True)
    assert not (await clarion.triggers.CreateTrigger(request)).trigger.refusals


@pytest.mark.parametrize(
    ("device", "path"),
    [({"token": "x"}, "platform"), ({"platform": 9, "token": "x"}, "platform"), ({"platform": 1}, "token")],
)
async def test_the_contract_refuses_devices_that_are_none(clarion: Clarion, device: dict[str, Any], path: str) -> None:
    await clarion.live_campaign(contents=[a_push()])
    error = await refused(clarion.triggers.CreateTrigger(a_trigger(recipients=[a_recipient(devices=[device])])))
    assert list(error.violations) == [f"recipients[0].devices[0].{path}"]


async def test_more_than_twenty_devices_are_refused(clarion: Clarion) -> None:
    await clarion.live_campaign(contents=[a_push()])
    devices = [Device(platform=1, token=f"token-{number}") for number in range(21)]
    error = await refused(clarion.triggers.CreateTrigger(a_trigger(recipients=[a_recipient(devices=devices)])))
    assert list(error.violations) == ["recipients[0].devices"]
