"""Campaigns over the wire: created, read, listed, changed, removed."""

from __future__ import annotations

import asyncio
import base64
import itertools
import uuid
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from clarion.v1 import campaign_pb2
from clarion.v1 import campaign_service_pb2 as pb
from clarion_core.store.store import Store
from support.clarion import CAMPAIGN, Clarion, a_campaign, an_email
from support.refusal import refused

Proto = campaign_pb2.Campaign


def create(campaign_id: str = "welcome", **fields: Any) -> pb.CreateCampaignRequest:
    extra = {name: fields.pop(name) for name in ("request_id", "validate_only") if name in fields}
    return pb.CreateCampaignRequest(campaign_id=campaign_id, campaign=a_campaign(**fields), **extra)


def update(mask: list[str] | None = None, **fields: Any) -> pb.UpdateCampaignRequest:
    extra = {name: fields.pop(name) for name in ("etag", "request_id", "validate_only") if name in fields}
    return pb.UpdateCampaignRequest(
        campaign=Proto(name=CAMPAIGN, **fields),
        update_mask=None if mask is None else FieldMask(paths=mask),
        **extra,
    )


async def draft(clarion: Clarion, **fields: Any) -> Proto:
    return (await clarion.campaigns.CreateCampaign(create(**fields))).campaign


async def current(clarion: Clarion) -> Proto:
    return (await clarion.campaigns.GetCampaign(pb.GetCampaignRequest(name=CAMPAIGN))).campaign


async def test_a_new_campaign_is_a_draft_with_what_was_said_and_the_defaults(clarion: Clarion) -> None:
    made = await draft(clarion, display_name="Welcome ✉", contents=[an_email(html="<p>Hi</p>", reply_to="a@b.example")])

    assert made.name == CAMPAIGN
    assert made.display_name == "Welcome ✉"
    assert made.state == Proto.STATE_DRAFT
    assert made.category == Proto.CATEGORY_TRANSACTIONAL
    assert made.ambiguity_policy == Proto.AMBIGUITY_POLICY_UNSPECIFIED
    assert made.revision == 1
    assert made.contents[0].email.html == "<p>Hi</p>"
    assert made.contents[0].email.reply_to == "a@b.example"
    policy = made.retry_policy
    assert (policy.max_attempts, policy.initial_backoff_s, policy.max_backoff_s) == (100, 30, 7200)
    assert made.create_time == made.update_time
    assert made.create_time.seconds > 0
    assert not made.HasField("counts")


async def test_a_campaign_reads_as_it_was_written(clarion: Clarion) -> None:
    context = [
        campaign_pb2.ContextField(name="items", type=campaign_pb2.ContextField.TYPE_LIST, required=True),
        campaign_pb2.ContextField(
            name="currency",
            type=campaign_pb2.ContextField.TYPE_STRING,
            default={"string_value": "EUR"},
            description="ISO 4217",
        ),
        campaign_pb2.ContextField(
            name="extra", type=campaign_pb2.ContextField.TYPE_OBJECT, default={"struct_value": {"a": [1, 2.5, None]}}
        ),
    ]
    made = await draft(
        clarion,
        description="What it is for",
        category=Proto.CATEGORY_MARKETING,
        ambiguity_policy=Proto.AMBIGUITY_POLICY_AT_LEAST_ONCE,
        context=context,
        retry_policy={"max_attempts": 3},
    )

    read = await current(clarion)
    assert list(read.context) == context
    assert read.counts == Proto.Counts()
    read.ClearField("counts")
    read.ClearField("feedback")
    assert read == made


async def test_an_id_that_is_taken_is_refused(clarion: Clarion) -> None:
    await draft(clarion)
    error = await refused(clarion.campaigns.CreateCampaign(create(display_name="Another")))
    assert error.says == (StatusCode.ALREADY_EXISTS, "CAMPAIGN_EXISTS")
    assert error.metadata == {"campaign": CAMPAIGN}
    assert error.details["ResourceInfo"].resource_name == CAMPAIGN


@pytest.mark.parametrize("campaign_id", ["", "ab", "Welcome", "1st", "wel_come", "a" * 64, "welcome\n", "wëlcome"])
async def test_an_id_outside_the_rule_is_refused(clarion: Clarion, campaign_id: str) -> None:
    error = await refused(clarion.campaigns.CreateCampaign(create(campaign_id)))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert list(error.violations) == ["campaign_id"]


async def test_what_does_not_exist_is_not_found(clarion: Clarion) -> None:
    stub = clarion.campaigns
    for call in (
        stub.GetCampaign(pb.GetCampaignRequest(name=CAMPAIGN)),
        stub.UpdateCampaign(update(display_name="x")),
        stub.DeleteCampaign(pb.DeleteCampaignRequest(name=CAMPAIGN)),
        stub.ActivateCampaign(pb.ActivateCampaignRequest(name=CAMPAIGN)),
        stub.PreviewCampaign(pb.PreviewCampaignRequest(name=CAMPAIGN, recipient={"user_id": "u"})),
    ):
        error = await refused(call)
        assert error.says == (StatusCode.NOT_FOUND, "CAMPAIGN_NOT_FOUND")
        assert error.metadata == {"campaign": CAMPAIGN}


async def test_checking_only_writes_nothing(clarion: Clarion, store: Store) -> None:
    keys = sorted(await store.command("KEYS", "*"))
    checked = (await clarion.campaigns.CreateCampaign(create(validate_only=True))).campaign
    assert (checked.name, checked.revision) == (CAMPAIGN, 1)
    assert sorted(await store.command("KEYS", "*")) == keys

    made = await draft(clarion)
    keys = sorted(await store.command("KEYS", "*"))
    checked = (await clarion.campaigns.UpdateCampaign(update(display_name="New", validate_only=True))).campaign
    assert (checked.display_name, checked.revision) == ("New", 2)
    assert sorted(await store.command("KEYS", "*")) == keys
    assert (await current(clarion)).etag == made.etag


class TestListing:
    async def pages(self, clarion: Clarion, size: int) -> list[list[str]]:
        found, token = [], ""
        while True:
            request = pb.ListCampaignsRequest(page_size=size, page_token=token)
            page = await clarion.campaigns.ListCampaigns(request)
            found.append([campaign.name.partition("/")[2] for campaign in page.campaigns])
            token = page.next_page_token
            if not token:
                return found

    async def test_pages_come_in_the_order_of_names_without_counts(self, clarion: Clarion) -> None:
        names = ["alpha", "beta-2", "beta", "zulu", "mike"]
        for name in names:
            await clarion.campaigns.CreateCampaign(create(name))

        assert list(itertools.chain(*await self.pages(clarion, 2))) == sorted(names)
        assert [len(page) for page in await self.pages(clarion, 2)] == [2, 2, 1]
        assert await self.pages(clarion, 0) == [sorted(names)]
        everything = (await clarion.campaigns.ListCampaigns(pb.ListCampaignsRequest(page_size=2**31 - 1))).campaigns
        assert len(everything) == 5
        assert not any(campaign.HasField("counts") for campaign in everything)

    async def test_a_page_ends_before_it_is_too_long_for_a_caller(self, clarion: Clarion) -> None:
        names = [f"long-{index}" for index in range(5)]
        for name in names:
            content = an_email(html="h" * (500 << 10), text="t" * (500 << 10))
            await clarion.campaigns.CreateCampaign(create(name, contents=[content]))

        pages = await self.pages(clarion, 500)
        assert len(pages) > 1
        assert list(itertools.chain(*pages)) == names

    async def test_a_token_holds_for_its_workspace_alone(self, clarion: Clarion) -> None:
        for name in ("one", "two"):
            await clarion.campaigns.CreateCampaign(create(name))
        first = await clarion.campaigns.ListCampaigns(pb.ListCampaignsRequest(page_size=1))
        request = pb.ListCampaignsRequest(page_token=first.next_page_token)
        elsewhere = clarion.campaigns.ListCampaigns(request, metadata=(("x-clarion-workspace", "other"),))
        error = await refused(elsewhere)
        assert error.says == (StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
        assert list(error.violations) == ["page_token"]

    @pytest.mark.parametrize("token", ["x", "AAAA", "%%%", "é", "kA", base64.b64encode(b"\x92\xa1a\x91\xa1b").decode()])
    async def test_a_token_that_is_none_is_refused(self, clarion: Clarion, token: str) -> None:
        error = await refused(clarion.campaigns.ListCampaigns(pb.ListCampaignsRequest(page_token=token)))
        assert error.says == (StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")

    async def test_a_negative_page_size_is_refused(self, clarion: Clarion) -> None:
        error = await refused(clarion.campaigns.ListCampaigns(pb.ListCampaignsRequest(page_size=-1)))
        assert list(error.violations) == ["page_size"]


class TestUpdating:
    async def test_without_a_mask_what_is_set_changes(self, clarion: Clarion) -> None:
        await draft(clarion, display_name="Old", description="Kept")
        changed = (await clarion.campaigns.UpdateCampaign(update(display_name="New"))).campaign
        assert (changed.display_name, changed.description, changed.revision) == ("New", "Kept", 2)
        assert len(changed.contents) == 1

    async def test_an_empty_mask_is_as_good_as_none(self, clarion: Clarion) -> None:
        await draft(clarion, display_name="Old", description="Kept")
        changed = (await clarion.campaigns.UpdateCampaign(update([], display_name="New"))).campaign
        assert (changed.display_name, changed.description) == ("New", "Kept")

    async def test_a_mask_names_what_changes_and_can_clear_it(self, clarion: Clarion) -> None:
        await draft(clarion, display_name="Old", description="Old")
        request = update(["description"], display_name="New")
        changed = (await clarion.campaigns.UpdateCampaign(request)).campaign
        assert (changed.display_name, changed.description) == ("Old", "")

    async def test_a_star_replaces_all_that_can_be_set(self, clarion: Clarion) -> None:
        await draft(clarion, display_name="Old", retry_policy={"max_attempts": 3})
        changed = (await clarion.campaigns.UpdateCampaign(update(["*"], contents=[an_email(subject="New")]))).campaign
        assert changed.display_name == ""
        assert changed.retry_policy.max_attempts == 100
        assert changed.contents[0].email.subject == "New"

    @pytest.mark.parametrize(
        "path", ["nothing", "state", "etag", "name", "counts", "displayName", "contents.email", ""]
    )
    async def test_a_path_that_can_not_be_set_is_refused(self, clarion: Clarion, path: str) -> None:
        await draft(clarion)
        error = await refused(clarion.campaigns.UpdateCampaign(update(["display_name", path], display_name="New")))
        assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert f"'{path}'" in error.violations["update_mask"]
        assert (await current(clarion)).display_name == ""

    async def test_output_only_fields_are_ignored_so_that_what_was_read_can_be_sent_back(
        self, clarion: Clarion
    ) -> None:
        read = await draft(clarion)
        read.state, read.revision, read.display_name = Proto.STATE_STOPPED, 99, "New"
        request = pb.UpdateCampaignRequest(campaign=read, etag=read.etag)
        changed = (await clarion.campaigns.UpdateCampaign(request)).campaign
        assert (changed.state, changed.revision, changed.display_name) == (Proto.STATE_DRAFT, 2, "New")

    async def test_no_difference_is_no_new_revision(self, clarion: Clarion) -> None:
        made = await draft(clarion, display_name="Same")
        for request_id in ("", str(uuid.uuid4())):
            request = update(display_name="Same", request_id=request_id)
            assert (await clarion.campaigns.UpdateCampaign(request)).campaign == made

    async def test_a_repeated_change_that_changed_nothing_is_not_made_later(self, clarion: Clarion) -> None:
        await draft(clarion, display_name="A")
        request = update(display_name="A", request_id=str(uuid.uuid4()))
        await clarion.campaigns.UpdateCampaign(request)
        await clarion.campaigns.UpdateCampaign(update(display_name="B"))
        assert (await clarion.campaigns.UpdateCampaign(request)).replayed
        assert (await current(clarion)).display_name == "B"

    async def test_the_name_is_required(self, clarion: Clarion) -> None:
        error = await refused(clarion.campaigns.UpdateCampaign(pb.UpdateCampaignRequest(campaign={})))
        assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert list(error.violations) == ["campaign"]

    async def test_the_category_is_fixed_after_draft(self, clarion: Clarion) -> None:
        await draft(clarion)
        marketing = update(category=Proto.CATEGORY_MARKETING)
        await clarion.campaigns.UpdateCampaign(marketing)
        await clarion.campaigns.ActivateCampaign(pb.ActivateCampaignRequest(name=CAMPAIGN))

        again = await clarion.campaigns.UpdateCampaign(marketing)
        assert again.campaign.category == Proto.CATEGORY_MARKETING
        request = update(category=Proto.CATEGORY_TRANSACTIONAL)
        error = await refused(clarion.campaigns.UpdateCampaign(request))
        assert error.says == (StatusCode.FAILED_PRECONDITION, "CAMPAIGN_STATE")
        assert error.metadata["allowed"] == "DRAFT"


class TestEtags:
    async def test_an_old_etag_is_aborted_on_every_change(self, clarion: Clarion) -> None:
        old = (await draft(clarion)).etag
        new = (await clarion.campaigns.UpdateCampaign(update(display_name="New", etag=old))).campaign.etag
        assert new != old

        stub = clarion.campaigns
        for call in (
            stub.UpdateCampaign(update(display_name="Newer", etag=old)),
            stub.ActivateCampaign(pb.ActivateCampaignRequest(name=CAMPAIGN, etag=old)),
            stub.DeleteCampaign(pb.DeleteCampaignRequest(name=CAMPAIGN, etag=old)),
        ):
            error = await refused(call)
            assert error.says == (StatusCode.ABORTED, "ETAG_MISMATCH")
            assert error.metadata == {"resource": CAMPAIGN, "etag": new}
        assert (await current(clarion)).etag == new

    async def test_of_many_racing_changes_with_one_etag_one_wins(self, clarion: Clarion) -> None:
        etag = (await draft(clarion)).etag
        calls = [
            clarion.campaigns.UpdateCampaign(update(display_name=f"Racer {index}", etag=etag)) for index in range(20)
        ]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1
        assert (await current(clarion)).revision == 2


class TestRequestIds:
    async def test_a_repeat_gets_the_first_answer(self, clarion: Clarion) -> None:
        request = create(request_id=str(uuid.uuid4()))
        first = await clarion.campaigns.CreateCampaign(request)
        await clarion.campaigns.UpdateCampaign(update(display_name="Changed since"))
        again = await clarion.campaigns.CreateCampaign(request)
        assert (first.replayed, again.replayed) == (False, True)
        assert again.campaign == first.campaign

    async def test_the_same_id_with_another_body_is_refused(self, clarion: Clarion) -> None:
        request_id = str(uuid.uuid4())
        await clarion.campaigns.CreateCampaign(create(request_id=request_id))
        stub = clarion.campaigns
        for call in (
            stub.CreateCampaign(create(request_id=request_id, display_name="Other")),
            stub.CreateCampaign(create("another", request_id=request_id)),
            stub.UpdateCampaign(update(display_name="Other", request_id=request_id)),
            stub.ActivateCampaign(pb.ActivateCampaignRequest(name=CAMPAIGN, request_id=request_id)),
            stub.DeleteCampaign(pb.DeleteCampaignRequest(name=CAMPAIGN, request_id=request_id)),
        ):
            error = await refused(call)
            assert error.says == (StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
            assert error.metadata["request_id"] == request_id
        assert (await current(clarion)).state == Proto.STATE_DRAFT

    async def test_fifty_racing_creations_make_one_campaign(self, clarion: Clarion) -> None:
        request = create(request_id=str(uuid.uuid4()))
        answers = await asyncio.gather(*(clarion.campaigns.CreateCampaign(request) for _ in range(50)))
        assert sum(not answer.replayed for answer in answers) == 1
        assert len({answer.campaign.SerializeToString(deterministic=True) for answer in answers}) == 1

    async def test_racing_transitions_with_one_id_are_one_transition(self, clarion: Clarion) -> None:
        await draft(clarion)
        request = pb.ActivateCampaignRequest(name=CAMPAIGN, request_id=str(uuid.uuid4()))
        answers = await asyncio.gather(*(clarion.campaigns.ActivateCampaign(request) for _ in range(50)))
        assert sum(not answer.replayed for answer in answers) == 1
        assert {answer.campaign.state for answer in answers} == {Proto.STATE_LIVE}

    async def test_racing_removals_with_one_id_are_one_removal(self, clarion: Clarion) -> None:
        await draft(clarion)
        request = pb.DeleteCampaignRequest(name=CAMPAIGN, request_id=str(uuid.uuid4()))
        answers = await asyncio.gather(*(clarion.campaigns.DeleteCampaign(request) for _ in range(50)))
        assert sum(not answer.replayed for answer in answers) == 1

    async def test_an_id_that_is_no_uuid_is_refused(self, clarion: Clarion) -> None:
        error = await refused(clarion.campaigns.CreateCampaign(create(request_id="once")))
        assert list(error.violations) == ["request_id"]
