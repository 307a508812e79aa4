"""The files of an e-mail: how many, how large, and that answers stay small whatever they are."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from grpc.aio import Channel

from clarion.v1 import campaign_pb2, campaign_service_pb2_grpc
from clarion.v1 import campaign_service_pb2 as pb
from clarion_core.domain.files import MIB
from clarion_core.store.store import Store
from support.clarion import CAMPAIGN, Clarion, a_campaign, an_email
from support.refusal import refused

PATH = "campaign.contents[0].email.attachments"
DATA = bytes(range(256)) * 4 * 1024 * 5  # 5 MiB


def a_file(data: bytes = b"%PDF", **fields: Any) -> dict[str, Any]:
    return {"name": "terms.pdf", "content_type": "application/pdf", "data": data} | fields


async def create(calls: Any, *files: dict[str, Any], **fields: Any) -> campaign_pb2.Campaign:
    campaign = a_campaign(contents=[an_email(attachments=files, **fields)])
    request = pb.CreateCampaignRequest(campaign_id="welcome", campaign=campaign)
    answer: pb.CreateCampaignResponse = await calls.CreateCampaign(request)
    return answer.campaign


async def update(clarion: Clarion, campaign: campaign_pb2.Campaign, *mask: str) -> campaign_pb2.Campaign:
    request = pb.UpdateCampaignRequest(campaign=campaign)
    request.update_mask.paths.extend(mask)
    answer: pb.UpdateCampaignResponse = await clarion.campaigns.UpdateCampaign(request)
    return answer.campaign


async def files_of(clarion: Clarion, channel: Channel | None = None) -> list[bytes]:
    stub: Any = campaign_service_pb2_grpc.CampaignServiceStub(channel) if channel else clarion.campaigns
    got = await stub.GetCampaign(pb.GetCampaignRequest(name=CAMPAIGN, include_files=True))
    return [file.data for file in got.campaign.contents[0].email.attachments]


async def test_five_mebibytes_go_in_and_every_answer_stays_small(clarion: Clarion) -> None:
    made = await create(clarion.campaigns, a_file(DATA[: 3 * MIB]), a_file(DATA[3 * MIB :]))
    listed = await clarion.campaigns.ListCampaigns(pb.ListCampaignsRequest())
    got = await clarion.campaigns.GetCampaign(pb.GetCampaignRequest(name=CAMPAIGN))
    moved = await clarion.campaigns.ActivateCampaign(pb.ActivateCampaignRequest(name=CAMPAIGN))
    for campaign in (made, listed.campaigns[0], got.campaign, moved.campaign):
        assert [file.size_bytes for file in campaign.contents[0].email.attachments] == [3 * MIB, 2 * MIB]
        assert campaign.ByteSize() < 1_000


async def test_a_request_has_room_for_the_files_beside_all_else_that_a_campaign_may_say(clarion: Clarion) -> None:
    longest = "x" * 524_288
    made = await create(clarion.campaigns, a_file(DATA), html=longest, text=longest)
    assert made.contents[0].email.attachments[0].size_bytes == 5 * MIB


@pytest.mark.parametrize("files", [[a_file(DATA), a_file(b"x")], [a_file()] * 6], ids=["bytes", "files"])
async def test_what_is_too_much_is_refused_with_what_is_allowed(clarion: Clarion, files: list[dict[str, Any]]) -> None:
    error = await refused(create(clarion.campaigns, *files))
    assert error.code is StatusCode.INVALID_ARGUMENT
    assert error.violations[PATH].endswith("; 5 of 5,242,880 together are allowed")
    assert error.violations[PATH].startswith(f"are {len(files)} of ")


async def test_how_much_is_allowed_is_a_setting(clarion: Clarion) -> None:
    less = await clarion.channel(await clarion.serve(email_files=1, email_files_mib=1))
    more = await clarion.channel(await clarion.serve(email_files=20, email_files_mib=10))
    stub: Any = campaign_service_pb2_grpc.CampaignServiceStub(less)
    error = await refused(create(stub, a_file(), a_file()))
    assert error.violations[PATH] == "are 2 of 8 bytes together; 1 of 1,048,576 together are allowed"
    stub = campaign_service_pb2_grpc.CampaignServiceStub(more)
    made = await create(stub, a_file(DATA), *[a_file(DATA[: MIB // 4])] * 19)
    assert len(made.contents[0].email.attachments) == 20


async def test_a_request_beyond_all_room_is_refused_in_words(clarion: Clarion) -> None:
    error = await refused(create(clarion.campaigns, a_file(bytes(9 * MIB))))
    assert error.code is StatusCode.INVALID_ARGUMENT
    assert "9,437,184 at most" in error.violations["request"]


async def test_what_was_read_can_be_written_back(clarion: Clarion) -> None:
    await create(clarion.campaigns, a_file(b"first"), a_file(b"second"))
    read = (await clarion.campaigns.GetCampaign(pb.GetCampaignRequest(name=CAMPAIGN))).campaign
    assert (await update(clarion, read, "*")).revision == 1
    del read.contents[0].email.attachments[0]
    read.contents[0].email.attachments.add(**a_file(b"third"))
    assert (await update(clarion, read, "contents")).revision == 2
    assert await files_of(clarion) == [b"second", b"third"]


async def test_files_stay_where_something_else_changes(clarion: Clarion) -> None:
    made = await create(clarion.campaigns, a_file(b"first"))
    changed = await update(clarion, campaign_pb2.Campaign(name=CAMPAIGN, display_name="Other"), "display_name")
    assert changed.contents == made.contents
    assert (changed.revision, await files_of(clarion)) == (2, [b"first"])


async def test_the_same_file_given_again_is_no_change(clarion: Clarion) -> None:
    await create(clarion.campaigns, a_file(b"first"))
    again = a_campaign(name=CAMPAIGN, contents=[an_email(attachments=[a_file(b"first")])])
    assert (await update(clarion, again, "contents")).revision == 1


async def test_files_are_kept_as_long_as_their_revision(clarion: Clarion, store: Store) -> None:
    await create(clarion.campaigns, a_file(b"first"))
    await update(clarion, campaign_pb2.Campaign(name=CAMPAIGN, display_name="Other"), "display_name")
    kept = [await store.command("PTTL", f"clarion:{{control}}:rf:default/welcome:{number}") for number in (1, 2)]
    assert kept[0] > 0
    assert kept[1] == -1
    await clarion.campaigns.DeleteCampaign(pb.DeleteCampaignRequest(name=CAMPAIGN))
    assert await store.command("PTTL", "clarion:{control}:rf:default/welcome:2") > 0
