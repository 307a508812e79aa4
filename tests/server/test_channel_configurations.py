"""ChannelConfigurationService over a real port: kept in versions, checked as a whole, left where campaigns name it."""

from __future__ import annotations

import uuid
from typing import Any

import grpc
import pytest

from clarion.v1 import campaign_pb2, campaign_service_pb2, channel_configuration_pb2
from clarion.v1 import channel_configuration_service_pb2 as pb
from clarion_server.values import to_struct
from support.clarion import Clarion
from support.refusal import refused as refusal_of

Proto = channel_configuration_pb2.ChannelConfiguration
NAME = "channelConfigurations/orders-mail"
SMTP: dict[str, Any] = {"providers": [{"name": "main", "smtp": {"host": "127.0.0.1", "port": 2525}}]}


def mail(settings: dict[str, Any] | None = None, **fields: Any) -> Proto:
    return Proto(channel="email", settings=to_struct(SMTP | (settings or {})), **fields)


@pytest.fixture
async def service(clarion: Clarion) -> Any:
    return clarion.configurations


async def create(service: Any, proto: Proto, configuration_id: str = "orders-mail", **more: Any) -> Proto:
    request = pb.CreateChannelConfigurationRequest(
        channel_configuration_id=configuration_id, channel_configuration=proto, **more
    )
    found: Proto = (await service.CreateChannelConfiguration(request)).channel_configuration
    return found


async def get(service: Any, version: int = 0) -> Proto:
    answer = await service.GetChannelConfiguration(pb.GetChannelConfigurationRequest(name=NAME, version=version))
    found: Proto = answer.channel_configuration
    return found


async def test_a_configuration_reads_as_it_was_written(service: Any) -> None:
    made = await create(service, mail(display_name="Orders", category=campaign_pb2.Campaign.CATEGORY_TRANSACTIONAL))
    assert (made.name, made.version, made.etag) == (NAME, 1, '"1"')
    assert made.create_time.seconds > 0
    assert await get(service) == made


async def test_versions_count_up_and_earlier_ones_stay_readable(service: Any) -> None:
    first = await create(service, mail())
    wanted = mail({"routing": "weight"}, name=NAME)
    second = (
        await service.UpdateChannelConfiguration(
            pb.UpdateChannelConfigurationRequest(channel_configuration=wanted, etag=first.etag)
        )
    ).channel_configuration
    assert second.version == 2
    assert await get(service) == second
    assert await get(service, version=1) == first
    again = await service.UpdateChannelConfiguration(pb.UpdateChannelConfigurationRequest(channel_configuration=wanted))
    assert again.channel_configuration == second, "no difference, no new version"


async def test_what_somebody_else_changed_is_not_overwritten(service: Any) -> None:
    first = await create(service, mail())
    for index in range(25):
        request = pb.UpdateChannelConfigurationRequest(channel_configuration=mail(name=NAME, display_name=str(index)))
        await service.UpdateChannelConfiguration(request)
    request = pb.UpdateChannelConfigurationRequest(channel_configuration=mail(name=NAME), etag=first.etag)
    refused = await refusal_of(service.UpdateChannelConfiguration(request))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    refused = await refusal_of(service.GetChannelConfiguration(pb.GetChannelConfigurationRequest(name=NAME, version=1)))
    assert refused.reason == "CHANNEL_CONFIGURATION_NOT_FOUND", "the last 20 are kept"


async def test_every_problem_is_told_with_its_path(service: Any) -> None:
    wrong = {"providers": [{"name": "A", "smtp": {"host": "mail.example.com", "port": 70_000}}], "routign": "order"}
    request = pb.CreateChannelConfigurationRequest(
        channel_configuration_id="orders-mail", channel_configuration=Proto(channel="email", settings=to_struct(wrong))
    )
    refused = await refusal_of(service.CreateChannelConfiguration(request))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert sorted(refused.violations) == [
        "channel_configuration.settings.providers[0].name",
        "channel_configuration.settings.providers[0].smtp.port",
        "channel_configuration.settings.routign",
    ]


@pytest.mark.parametrize(
    ("password", "path", "words"),
    [
        ("hunter2", "password", "must not stand here itself"),
        ({"env": "HOME"}, "password.env", "must begin with CLARION_SECRET_"),
        ({"file": "../../etc/passwd"}, "password.file", "without a path"),
        ({"file": "/etc/passwd"}, "password.file", "without a path"),
        ({}, "password", "needs one of env and file"),
    ],
)
async def test_a_secret_is_a_reference_to_what_is_meant_for_it(
    service: Any, password: object, path: str, words: str
) -> None:
    smtp = {"host": "127.0.0.1", "username": "clarion", "password": password}
    proto = Proto(channel="email", settings=to_struct({"providers": [{"name": "main", "smtp": smtp}]}))
    request = pb.CreateChannelConfigurationRequest(channel_configuration_id="orders-mail", channel_configuration=proto)
    refused = await refusal_of(service.CreateChannelConfiguration(request))
    place = f"channel_configuration.settings.providers[0].smtp.{path}"
    assert refused.violations.keys() == {place}
    assert words in refused.violations[place]
    assert "hunter2" not in refused.message + repr(refused.violations)


async def test_what_people_answer_concerns_the_configurations_own_workspace(service: Any) -> None:
    sms = {"providers": [{"name": "m", "smpp": {"host": "127.0.0.1", "system_id": "a"}}], "workspaces": ["other"]}
    refused = await refusal_of(create(service, Proto(channel="sms", settings=to_struct(sms)), "orders-sms"))
    assert refused.violations.keys() == {"channel_configuration.settings.workspaces"}
    assert "must be left out" in refused.violations["channel_configuration.settings.workspaces"]


async def test_channel_and_category_are_fixed(service: Any) -> None:
    await create(service, mail(category=campaign_pb2.Campaign.CATEGORY_MARKETING))
    sms = Proto(name=NAME, channel="sms", category=campaign_pb2.Campaign.CATEGORY_TRANSACTIONAL)
    refused = await refusal_of(
        service.UpdateChannelConfiguration(pb.UpdateChannelConfigurationRequest(channel_configuration=sms))
    )
    assert refused.violations.keys() == {"channel_configuration.channel", "channel_configuration.category"}


async def test_a_call_with_a_request_id_acts_once(service: Any) -> None:
    request_id = str(uuid.uuid4())
    first = await create(service, mail(), request_id=request_id)
    assert await create(service, mail(), request_id=request_id) == first
    refused = await refusal_of(create(service, mail(display_name="other"), request_id=request_id))
    assert refused.reason == "REQUEST_ID_REUSED"
    refused = await refusal_of(create(service, mail()))
    assert refused.reason == "CHANNEL_CONFIGURATION_EXISTS"
    delete = pb.DeleteChannelConfigurationRequest(name=NAME, request_id=str(uuid.uuid4()))
    assert not (await service.DeleteChannelConfiguration(delete)).replayed
    assert (await service.DeleteChannelConfiguration(delete)).replayed
    made = await create(service, mail())
    assert made.version == 2, "one of the same id goes on counting"


async def test_nothing_is_stored_by_a_check(service: Any) -> None:
    assert (await create(service, mail(), validate_only=True)).version == 1
    refused = await refusal_of(get(service))
    assert refused.code is grpc.StatusCode.NOT_FOUND


async def test_they_are_listed_in_pages(service: Any) -> None:
    for index in range(5):
        await create(service, mail(), f"mail-{index}")
    names: list[str] = []
    token = ""
    while True:
        page = await service.ListChannelConfigurations(
            pb.ListChannelConfigurationsRequest(page_size=2, page_token=token)
        )
        names += [each.name for each in page.channel_configurations]
        token = page.next_page_token
        if not token:
            break
    assert names == [f"channelConfigurations/mail-{index}" for index in range(5)]


def campaign(configuration: str, **email: Any) -> campaign_pb2.Campaign:
    fields = {"from": "shop@example.com", "subject": "Hi", "text": "Hello"} | email
    content = campaign_pb2.Content(email=campaign_pb2.EmailContent(**fields), channel_configuration=configuration)
    return campaign_pb2.Campaign(contents=[content])


async def save(clarion: Clarion, proto: campaign_pb2.Campaign, campaign_id: str = "welcome") -> Any:
    request = campaign_service_pb2.CreateCampaignRequest(campaign_id=campaign_id, campaign=proto)
    return await clarion.campaigns.CreateCampaign(request)


async def test_a_campaign_names_one_that_is_there_and_fits(service: Any, clarion: Clarion) -> None:
    place = "campaign.contents[0].channel_configuration"
    refused = await refusal_of(save(clarion, campaign("orders-mail")))
    assert "there is no channelConfigurations/orders-mail" in refused.violations[place]
    await create(service, mail(category=campaign_pb2.Campaign.CATEGORY_MARKETING))
    refused = await refusal_of(save(clarion, campaign("orders-mail")))
    assert "is for marketing campaigns" in refused.violations[place]
    sms = {"providers": [{"name": "m", "smpp": {"host": "127.0.0.1", "system_id": "a"}}]}
    await create(service, Proto(channel="sms", settings=to_struct(sms)), "orders-sms")
    refused = await refusal_of(save(clarion, campaign("orders-sms")))
    assert "is for sms, this content for email" in refused.violations[place]
    await create(service, mail(), "plain-mail")
    assert (await save(clarion, campaign("plain-mail"))).campaign.name == "campaigns/welcome"


async def test_who_decides_the_sender_is_the_configurations_to_say(service: Any, clarion: Clarion) -> None:
    decided = {"sender": "Shop <orders@example.com>", "overridable": ["reply_to"]}
    await create(service, mail(decided))
    refused = await refusal_of(save(clarion, campaign("orders-mail")))
    assert "decides it" in refused.violations["campaign.contents[0].email.from"]
    assert await save(clarion, campaign("orders-mail", **{"from": "", "reply_to": "help@example.com"}))
    await create(service, mail(), "bare-mail")
    refused = await refusal_of(save(clarion, campaign("bare-mail", **{"from": ""}), "other"))
    assert "has none either" in refused.violations["campaign.contents[0].email.from"]
    refused = await refusal_of(save(clarion, campaign("", **{"from": ""}), "other"))
    assert "is required" in refused.violations["campaign.contents[0].email.from"]


async def test_the_one_called_like_the_channel_has_to_fit_who_names_none(service: Any, clarion: Clarion) -> None:
    await create(service, mail({"sender": "Shop <orders@example.com>", "overridable": []}), "email")
    assert await save(clarion, campaign("", **{"from": ""}))
    refused = await refusal_of(save(clarion, campaign(""), "other"))
    assert "channelConfigurations/email decides it" in refused.violations["campaign.contents[0].email.from"]


async def test_one_that_a_campaign_names_stays(service: Any, clarion: Clarion) -> None:
    await create(service, mail())
    await save(clarion, campaign("orders-mail"))
    refused = await refusal_of(service.DeleteChannelConfiguration(pb.DeleteChannelConfigurationRequest(name=NAME)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CHANNEL_CONFIGURATION_IN_USE")
    assert refused.metadata["campaign"] == "campaigns/welcome"
    await clarion.campaigns.DeleteCampaign(campaign_service_pb2.DeleteCampaignRequest(name="campaigns/welcome"))
    await service.DeleteChannelConfiguration(pb.DeleteChannelConfigurationRequest(name=NAME))
    assert (await refusal_of(get(service))).code is grpc.StatusCode.NOT_FOUND


async def test_workspaces_know_nothing_of_each_other(service: Any) -> None:
    await create(service, mail())
    request = pb.GetChannelConfigurationRequest(name=NAME)
    refused = await refusal_of(service.GetChannelConfiguration(request, metadata=[("x-clarion-workspace", "other")]))
    assert refused.code is grpc.StatusCode.NOT_FOUND
