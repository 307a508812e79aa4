"""What a campaign may say and declare, and what it looks like before it is sent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from typing import Any

import pytest
from grpc import StatusCode

from clarion.v1 import campaign_pb2, campaign_service_pb2_grpc
from clarion.v1 import campaign_service_pb2 as pb
from support.clarion import CAMPAIGN, Clarion, a_campaign, a_recipient, an_email
from support.hostile import HOSTILE
from support.refusal import Refused, refused

Field = campaign_pb2.ContextField
TOTAL = Field(name="total", type=Field.TYPE_NUMBER, required=True)
CITY = Field(name="city", type=Field.TYPE_STRING)
SINCE = Field(name="since", type=Field.TYPE_DATE_TIME)


async def refusal_of(clarion: Clarion, **fields: Any) -> Refused:
    """Why a campaign with these fields can't be created; an update with them is refused for the same."""
    request = pb.CreateCampaignRequest(campaign_id="welcome", campaign=a_campaign(**fields))
    error = await refused(clarion.campaigns.CreateCampaign(request))
    good = pb.CreateCampaignRequest(campaign_id="welcome", campaign=a_campaign())
    await clarion.campaigns.CreateCampaign(good)
    campaign = campaign_pb2.Campaign(name=CAMPAIGN, **fields)
    changing = await refused(clarion.campaigns.UpdateCampaign(pb.UpdateCampaignRequest(campaign=campaign)))
    assert changing == error
    return error


async def refused_while_others_are_answered(stub: Any, call: Awaitable[Any]) -> Refused:
    """Why a call is refused that takes long; on the way, calls that take no time are answered one after the other."""
    refusing = asyncio.ensure_future(refused(call))
    answered = 0
    while not refusing.done():
        await stub.GetCampaign(pb.GetCampaignRequest(name=CAMPAIGN))
        answered += 1
    assert answered  # how many, the machine decides
    return await refusing


async def preview(clarion: Clarion, **fields: Any) -> pb.PreviewCampaignResponse:
    values = {"name": CAMPAIGN, "recipient": a_recipient()} | fields
    answer: pb.PreviewCampaignResponse = await clarion.campaigns.PreviewCampaign(pb.PreviewCampaignRequest(**values))
    return answer


class TestTemplates:
    async def test_an_undeclared_name_is_refused_with_its_place(self, clarion: Clarion) -> None:
        html = "<p>\n  Total: {{ totl }}\n</p>"
        error = await refusal_of(clarion, context=[TOTAL], contents=[an_email(html=html)])
        assert error.says == (StatusCode.INVALID_ARGUMENT, "TEMPLATE_INVALID")
        assert error.metadata == {"template": "campaign.contents[0].email.html", "line": "2", "column": "13"}
        [(path, description)] = error.violations.items()
        assert path == "campaign.contents[0].email.html:2:13"
        assert "'totl'" in description
        assert "total" in description

    async def test_a_template_that_does_not_compile_is_refused_with_its_place(self, clarion: Clarion) -> None:
        error = await refusal_of(clarion, contents=[an_email(subject="Hello {{ recipient.user_id")])
        assert error.reason == "TEMPLATE_INVALID"
        assert error.metadata["template"] == "campaign.contents[0].email.subject"
        assert error.metadata["line"] == "1"
        assert int(error.metadata["column"]) > 0

    async def test_all_problems_come_at_once(self, clarion: Clarion) -> None:
        error = await refusal_of(clarion, contents=[an_email(subject="{{ a }}", html="{{ b }}", text="{{ c|nope }}")])
        assert [path.rpartition(".")[2] for path in error.violations] == [
            "subject:1:4",
            "html:1:4",
            "text:1:4",
            "text:1:6",
        ]
        assert error.message.endswith("(and 3 more)")

    @pytest.mark.parametrize(
        ("email", "path"),
        [
            (an_email(sender="not an address"), "from"),
            (an_email(sender="Shop\r\nBcc: x@example.com <a@example.com>"), "from"),
            (an_email(reply_to="nobody"), "reply_to"),
            (an_email(subject=" "), "subject"),
            (an_email(text=""), "html"),
        ],
    )
    async def test_an_email_that_can_not_be_sent_is_refused(
        self, clarion: Clarion, email: campaign_pb2.Content, path: str
    ) -> None:
        error = await refusal_of(clarion, contents=[email])
        assert error.says == (StatusCode.INVALID_ARGUMENT, "TEMPLATE_INVALID")
        assert list(error.violations) == [f"campaign.contents[0].email.{path}"]

    async def test_a_template_that_takes_too_long_to_compile_is_refused_while_others_are_answered(
        self, clarion: Clarion
    ) -> None:
        await clarion.campaigns.CreateCampaign(pb.CreateCampaignRequest(campaign_id="welcome", campaign=a_campaign()))
        strict = await clarion.channel(await clarion.serve(compile_s=0.1))
        stub = campaign_service_pb2_grpc.CampaignServiceStub(strict)
        huge = a_campaign(context=[CITY], contents=[an_email(html="{{ city }}" * 6000)])
        update = pb.UpdateCampaignRequest(campaign=campaign_pb2.Campaign(name=CAMPAIGN))
        update.campaign.MergeFrom(huge)
        for saving in (
            stub.CreateCampaign(pb.CreateCampaignRequest(campaign_id="huge", campaign=huge)),
            stub.UpdateCampaign(update),
        ):
            error = await refused_while_others_are_answered(stub, saving)
            assert error.says == (StatusCode.INVALID_ARGUMENT, "TEMPLATE_INVALID")
            assert error.violations == {"campaign.contents[0].email.html:1:1": "took longer than 100 ms to compile"}
            assert error.metadata == {"template": "campaign.contents[0].email.html", "line": "1", "column": "1"}

    async def test_templates_at_their_limit_are_stored_and_longer_ones_refused(self, clarion: Clarion) -> None:
        request = pb.CreateCampaignRequest(
            campaign_id="welcome", campaign=a_campaign(contents=[an_email(html="h" * (512 << 10))])
        )
        await clarion.campaigns.CreateCampaign(request)
        request.campaign.contents[0].email.html += "h"
        error = await refused(clarion.campaigns.CreateCampaign(request))
        assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert list(error.violations) == ["campaign.contents[0].email.html"]


class TestDeclarations:
    @pytest.mark.parametrize(
        ("context", "path", "says"),
        [
            ([Field(name="profile", type=Field.TYPE_OBJECT)], "campaign.context[0].name", "'profile'"),
            ([TOTAL, TOTAL], "campaign.context[1].name", "twice"),
            (
                [Field(name="a", type=Field.TYPE_STRING, required=True, default={"string_value": "x"})],
                "campaign.context[0].default",
                "required",
            ),
            (
                [Field(name="a", type=Field.TYPE_NUMBER, default={"string_value": "x"})],
                "campaign.context[0].default",
                "must be a number, is a string",
            ),
            (
                [Field(name="a", type=Field.TYPE_DATE_TIME, default={"string_value": "tomorrow"})],
                "campaign.context[0].default",
                "date-time",
            ),
            ([Field(name="1st", type=Field.TYPE_STRING)], "campaign.context[0].name", "pattern"),
            ([Field(name="a")], "campaign.context[0].type", ""),
            ([Field(name="a", type=99)], "campaign.context[0].type", ""),  # type: ignore[arg-type]  # as a caller might
        ],
    )
    async def test_a_declaration_that_contradicts_itself_is_refused(
        self, clarion: Clarion, context: list[Field], path: str, says: str
    ) -> None:
        error = await refusal_of(clarion, context=context)
        assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert list(error.violations) == [path]
        assert says in error.violations[path]

    async def test_content_is_required_and_once_a_channel(self, clarion: Clarion) -> None:
        request = pb.CreateCampaignRequest(campaign_id="welcome", campaign={})
        error = await refused(clarion.campaigns.CreateCampaign(request))
        assert list(error.violations) == ["campaign.contents"]

        error = await refusal_of(clarion, contents=[an_email(), an_email()])
        assert list(error.violations) == ["campaign.contents[1]"]

        request.campaign.contents.add()
        error = await refused(clarion.campaigns.CreateCampaign(request))
        assert list(error.violations) == ["campaign.contents[0].kind"]


class TestPreview:
    async def test_a_preview_shows_the_message_and_sends_nothing(self, clarion: Clarion) -> None:
        content = an_email(
            subject="Order for {{ recipient.user_id }}",
            html="<b>{{ city }}</b> {{ total }}",
            text="{{ profile.name }}: {{ total }} {{ city }} {{ since.year }}",
        )
        await clarion.live_campaign(context=[TOTAL, CITY, SINCE], contents=[content])

        answer = await preview(
            clarion,
            recipient=a_recipient(profile={"name": "Ana"}, context={"city": "<Köln>"}),
            context={"total": 12.0, "city": "Bonn", "since": "2026-11-24T08:00:00Z"},
        )

        assert answer.revision == 1
        email = answer.email
        assert (getattr(email, "from"), email.to) == ("Shop <shop@example.com>", "user-0@example.com")
        assert email.subject == "Order for user-0"
        assert email.html == "<b>&lt;Köln&gt;</b> 12"
        assert email.text == "Ana: 12 <Köln> 2026"

    async def test_what_a_trigger_would_refuse_a_preview_refuses(self, clarion: Clarion) -> None:
        await clarion.live_campaign(context=[TOTAL])
        shared = await refused(preview(clarion, context={"total": "much"}))
        assert shared.says == (StatusCode.INVALID_ARGUMENT, "CONTEXT_INVALID")
        assert shared.violations == {"context.total": "must be a number, is a string"}

        own = await refused(preview(clarion, recipient=a_recipient(addresses={"email": "nobody"})))
        assert own.says == (StatusCode.INVALID_ARGUMENT, "RECIPIENTS_REFUSED")
        assert list(own.violations) == ["recipient.context.total", "recipient.addresses.email"]

    async def test_an_error_while_rendering_is_the_caller_s_and_names_its_place(self, clarion: Clarion) -> None:
        content = an_email(text="Hello\n{{ 1 // (total - 1) }}")
        await clarion.live_campaign(context=[TOTAL], contents=[content])
        error = await refused(preview(clarion, context={"total": 1}))
        assert error.says == (StatusCode.INVALID_ARGUMENT, "TEMPLATE_INVALID")
        assert error.violations == {"campaign.contents[0].email": "email.text, line 2: ZeroDivisionError"}

    async def test_a_value_the_recipient_lacks_is_an_error_that_names_it(self, clarion: Clarion) -> None:
        await clarion.live_campaign(contents=[an_email(text="{{ profile.name }}")])
        error = await refused(preview(clarion))
        assert error.says == (StatusCode.INVALID_ARGUMENT, "TEMPLATE_INVALID")
        assert "'name' has no value" in error.message

    @pytest.mark.parametrize("name", ["nested loops", "sort", "a doubling namespace"])
    async def test_a_hostile_template_is_refused_while_others_are_answered(self, clarion: Clarion, name: str) -> None:
        await clarion.live_campaign(contents=[an_email(text="Hello\n" + HOSTILE[name])])
        error = await refused_while_others_are_answered(clarion.campaigns, preview(clarion))
        assert error.says == (StatusCode.INVALID_ARGUMENT, "TEMPLATE_INVALID")
        [(path, description)] = error.violations.items()
        assert path == "campaign.contents[0].email"
        assert re.fullmatch(r"email\.text(, line 2)?: (took longer than|needed more than) .*", description)

    async def test_a_draft_can_be_previewed(self, clarion: Clarion) -> None:
        request = pb.CreateCampaignRequest(campaign_id="welcome", campaign=a_campaign())
        await clarion.campaigns.CreateCampaign(request)
        assert (await preview(clarion)).email.text == "Welcome, user-0."
