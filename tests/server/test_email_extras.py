"""What an e-mail may have besides its texts: copies, files, an AMP body, header fields, a way to unsubscribe."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from grpc import StatusCode

from clarion.v1 import campaign_pb2
from clarion.v1 import campaign_service_pb2 as pb
from support.clarion import CAMPAIGN, Clarion, a_campaign, a_recipient, an_email
from support.refusal import refused

AMP = "<!doctype html><html amp4email><body>{{ recipient.user_id }}</body></html>"
PDF = {"name": "terms.pdf", "content_type": "application/pdf", "data": b"%PDF"}
LOGO = {"name": "logo.png", "content_type": "image/png", "data": b"\x89PNG", "content_id": "logo"}


async def create(clarion: Clarion, **fields: Any) -> campaign_pb2.Campaign:
    request = pb.CreateCampaignRequest(campaign_id="welcome", campaign=a_campaign(contents=[an_email(**fields)]))
    answer: pb.CreateCampaignResponse = await clarion.campaigns.CreateCampaign(request)
    return answer.campaign


def described(file: dict[str, Any], *, keep: bool = False) -> dict[str, Any]:
    data = file["data"]
    shown = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data), "data": data if keep else b""}
    return file | shown


async def test_it_is_kept_as_it_was_given(clarion: Clarion) -> None:
    fields = {
        "amp": AMP,
        "cc": ["Boß <boss@example.com>", "{{ recipient.email }}"],
        "bcc": ["archive@example.com"],
        "attachments": [PDF, LOGO],
        "headers": {"X-Order": "{{ recipient.user_id }}"},
        "list_unsubscribe": ["https://shop.example/u/{{ recipient.user_id }}", "mailto:stop@shop.example"],
    }
    await create(clarion, **fields)
    got = await clarion.campaigns.GetCampaign(pb.GetCampaignRequest(name=CAMPAIGN, include_files=True))
    fields["attachments"] = [described(PDF, keep=True), described(LOGO, keep=True)]
    assert got.campaign.contents[0] == an_email(**fields)


async def test_a_preview_shows_it(clarion: Clarion) -> None:
    cc, headers = ["{{ recipient.email }}", "{{ profile.boss | default('') }}"], {"X-Who": "{{ recipient.user_id }}"}
    await create(clarion, amp=AMP, cc=cc, headers=headers)
    request = pb.PreviewCampaignRequest(name=CAMPAIGN, recipient=a_recipient())
    email = (await clarion.campaigns.PreviewCampaign(request)).email
    assert email.amp == AMP.replace("{{ recipient.user_id }}", a_recipient().user_id)
    assert list(email.cc) == [a_recipient().addresses["email"]]
    assert email.headers == {"X-Who": a_recipient().user_id}


@pytest.mark.parametrize(
    ("fields", "place", "says"),
    [
        ({"amp": "<html></html>"}, "amp", "is no AMP document"),
        ({"amp": AMP + "{{ nope }}"}, f"amp:1:{len(AMP) + 4}", "'nope' is not declared"),
        ({"cc": ["a@b.example", "nobody"]}, "cc[1]", "is not an e-mail address"),
        ({"cc": ["{{ nope }}"]}, "cc[0]:1:4", "'nope' is not declared"),
        ({"bcc": ["Archive <archive@example.com>"]}, "bcc[0]", "is not an e-mail address"),
        ({"bcc": ["{{ recipient.email }}"]}, "bcc[0]", "is not an e-mail address"),
        ({"attachments": [PDF | {"content_type": "message/rfc822"}]}, "attachments[0].content_type", "no content type"),
        ({"attachments": [PDF | {"content_type": "pdf"}]}, "attachments[0].content_type", "no content type"),
        ({"attachments": [LOGO | {"content_id": "<logo>"}]}, "attachments[0].content_id", "malformed"),
        ({"attachments": [LOGO, LOGO]}, "attachments[0].content_id", "another file"),
        ({"attachments": [PDF | {"name": " "}]}, "attachments[0].name", "is required"),
        ({"attachments": [PDF | {"data": b""}]}, "attachments[0].data", "is required"),
        ({"attachments": [PDF, LOGO | {"data": b"", "sha256": "0" * 64}]}, "attachments[1].data", "no file with this"),
        ({"headers": {"X-Clarion-Copy": "cc"}}, "headers.X-Clarion-Copy", "Clarion's own"),
        ({"headers": {"X-Order": "a\nb{{ recipient.user_id }}"}}, "headers.X-Order:1:2", "one line"),
        ({"list_unsubscribe": ["http://shop.example/"]}, "list_unsubscribe[0]", "https://"),
    ],
)
async def test_what_can_not_be_is_refused_with_its_place(
    clarion: Clarion, fields: dict[str, Any], place: str, says: str
) -> None:
    error = await refused(create(clarion, **fields))
    assert error.code is StatusCode.INVALID_ARGUMENT
    assert says in error.violations[f"campaign.contents[0].email.{place}"]


@pytest.mark.parametrize(
    "fields",
    [
        {"attachments": [PDF] * 21},
        {"attachments": [PDF | {"sha256": "none"}]},
        {"cc": ["a@b.example"] * 11},
        {"headers": {"Bcc": "x@y.example"}},
        {"headers": {"X-a\r\nBcc": "x"}},
        {"list_unsubscribe": ["mailto:a@b.example"] * 3},
    ],
)
async def test_the_contracts_limits_are_kept(clarion: Clarion, fields: dict[str, Any]) -> None:
    assert (await refused(create(clarion, **fields))).code is StatusCode.INVALID_ARGUMENT
