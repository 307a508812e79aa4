"""What a campaign says about pace and age: throttle, time to live, retries, and the urgent category."""

from __future__ import annotations

import math
from typing import Any

import pytest
from grpc import StatusCode

from clarion.v1 import campaign_pb2
from clarion.v1 import campaign_service_pb2 as pb
from support.clarion import CAMPAIGN, Clarion, a_campaign
from support.refusal import refused

Proto = campaign_pb2.Campaign


def create(clarion: Clarion, campaign_id: str = "welcome", **fields: Any) -> Any:
    request = pb.CreateCampaignRequest(campaign_id=campaign_id, campaign=a_campaign(**fields))
    return clarion.campaigns.CreateCampaign(request)


def update(clarion: Clarion, **fields: Any) -> Any:
    return clarion.campaigns.UpdateCampaign(pb.UpdateCampaignRequest(campaign=Proto(name=CAMPAIGN, **fields)))


async def current(clarion: Clarion) -> Proto:
    return (await clarion.campaigns.GetCampaign(pb.GetCampaignRequest(name=CAMPAIGN))).campaign


async def test_pace_and_age_read_as_they_were_written(clarion: Clarion) -> None:
    made = (
        await create(
            clarion,
            category=Proto.CATEGORY_URGENT,
            time_to_live_s=900,
            throttle={"rate_per_s": 0.5, "burst": 3},
            retry_policy={"max_age_s": 600},
        )
    ).campaign
    read = await current(clarion)
    read.ClearField("counts")
    read.ClearField("feedback")
    assert read == made
    assert (read.category, read.time_to_live_s) == (Proto.CATEGORY_URGENT, 900)
    assert read.throttle == campaign_pb2.ThrottlePolicy(rate_per_s=0.5, burst=3)
    assert read.retry_policy.max_age_s == 600


async def test_what_is_not_said_is_without_a_bound_and_with_the_default_age(clarion: Clarion) -> None:
    made = (await create(clarion)).campaign
    assert (made.HasField("throttle"), made.time_to_live_s) == (False, 0)
    assert made.retry_policy.max_age_s == 302_400


async def test_a_live_campaign_may_be_slowed_down_and_let_go_again(clarion: Clarion) -> None:
    await clarion.live_campaign()
    slowed = (await update(clarion, throttle={"rate_per_s": 2.5}, time_to_live_s=60)).campaign
    assert (slowed.throttle.rate_per_s, slowed.time_to_live_s, slowed.revision) == (2.5, 60, 2)
    request = pb.UpdateCampaignRequest(
        campaign=Proto(name=CAMPAIGN), update_mask={"paths": ["throttle", "time_to_live_s"]}
    )
    free = (await clarion.campaigns.UpdateCampaign(request)).campaign
    assert (free.HasField("throttle"), free.time_to_live_s) == (False, 0)
    assert free.contents == slowed.contents


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"throttle": {"rate_per_s": math.nan}}, "throttle.rate_per_s"),
        ({"throttle": {"rate_per_s": math.inf}}, "throttle.rate_per_s"),
        ({"throttle": {"burst": 3}}, "throttle.rate_per_s"),
        ({"throttle": {"rate_per_s": -0.5}}, "throttle.rate_per_s"),
        ({"throttle": {"rate_per_s": 1_000_001}}, "throttle.rate_per_s"),
        ({"throttle": {"rate_per_s": 1, "burst": -1}}, "throttle.burst"),
        ({"throttle": {"rate_per_s": 1, "burst": 1_000_001}}, "throttle.burst"),
        ({"time_to_live_s": -1}, "time_to_live_s"),
        ({"time_to_live_s": 31_536_001}, "time_to_live_s"),
        ({"retry_policy": {"max_age_s": -1}}, "retry_policy.max_age_s"),
        ({"retry_policy": {"max_age_s": 2_592_001}}, "retry_policy.max_age_s"),
        ({"retry_policy": {"max_attempts": 101}}, "retry_policy.max_attempts"),
        ({"category": 99}, "category"),
    ],
    ids=str,
)
async def test_what_is_out_of_range_is_refused_by_its_field(
    clarion: Clarion, fields: dict[str, Any], path: str
) -> None:
    await clarion.live_campaign()
    for call in (create(clarion, "another", **fields), update(clarion, **fields)):
        error = await refused(call)
        assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert set(error.violations) == {f"campaign.{path}"}


@pytest.mark.parametrize(("category", "least_s"), [("URGENT", 600), ("TRANSACTIONAL", 600), ("MARKETING", 21_600)])
async def test_no_category_gives_up_before_a_provider_has_had_a_chance(
    clarion: Clarion, category: str, least_s: int
) -> None:
    number = Proto.Category.Value(f"CATEGORY_{category}")
    error = await refused(create(clarion, category=number, retry_policy={"max_age_s": least_s - 1}))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert error.violations == {
        "campaign.retry_policy.max_age_s": f"must be at least {least_s} for {category}, or 0 for the default"
    }
    made = (await create(clarion, category=number, retry_policy={"max_age_s": least_s})).campaign
    assert made.retry_policy.max_age_s == least_s


async def test_an_age_that_the_next_category_does_not_allow_is_refused_when_it_changes(clarion: Clarion) -> None:
    await create(clarion, retry_policy={"max_age_s": 3_600})
    error = await refused(update(clarion, category=Proto.CATEGORY_MARKETING))
    assert list(error.violations) == ["campaign.retry_policy.max_age_s"]
    changed = await update(clarion, category=Proto.CATEGORY_MARKETING, retry_policy={"max_age_s": 21_600})
    assert changed.campaign.category == Proto.CATEGORY_MARKETING
