"""`clarion apply`: campaigns as files, and mistakes in them shown where they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from clarion.v1.campaign_pb2 import Campaign, ContextField, ThrottlePolicy
from clarion.v1.campaign_service_pb2 import (
    ActivateCampaignResponse,
    CreateCampaignRequest,
    CreateCampaignResponse,
    GetCampaignResponse,
    UpdateCampaignRequest,
    UpdateCampaignResponse,
)
from clarion_client.cli import campaign_files
from clients.conftest import Cli, Ended
from clients.scripted_server import Failure, Script

EXAMPLE = Path(__file__).parents[2] / "examples/campaigns/order-confirmation"
YAML = """\
id: welcome
display_name: Welcome
category: marketing
context:
  - name: first_name
    type: string
    required: true
  - {name: since, type: date-time, default: 2026-11-24T08:00:00Z}
contents:
  - email:
      from: Shop <hello@example.com>
      subject_file: subject.j2
      text: |
        Hello {{ first_name }},
        welcome since {{ sinc }}.
"""
RATE = YAML.replace("{", "{{").replace("}", "}}").replace("category: marketing", "throttle: {{rate_per_s: {}}}")
ABSENT = Failure(code=grpc.StatusCode.NOT_FOUND, reason="CAMPAIGN_NOT_FOUND")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "campaign.yaml").write_text(YAML)
    (tmp_path / "subject.j2").write_text("Welcome, {{ first_nam }}!\n")
    return tmp_path


def invalid(*violations: tuple[str, str], **metadata: str) -> Failure:
    code = grpc.StatusCode.INVALID_ARGUMENT
    return Failure(code=code, reason="TEMPLATE_INVALID", violations=violations, metadata=metadata)


def created(request: CreateCampaignRequest) -> CreateCampaignResponse:
    campaign = Campaign(name=f"campaigns/{request.campaign_id}", state=Campaign.STATE_DRAFT, etag="1")
    campaign.MergeFrom(request.campaign)
    return CreateCampaignResponse(campaign=campaign)


def test_a_file_is_the_campaign_with_the_contracts_names(directory: Path) -> None:
    read = campaign_files.read(directory / "campaign.yaml")
    campaign = read.campaign
    assert read.campaign_id == "welcome"
    assert campaign.category == Campaign.CATEGORY_MARKETING
    assert [(each.name, each.type, each.required) for each in campaign.context] == [
        ("first_name", ContextField.TYPE_STRING, True),
        ("since", ContextField.TYPE_DATE_TIME, False),
    ]
    assert campaign.context[1].default.string_value == "2026-11-24T08:00:00Z"
    assert campaign.contents[0].email.subject == "Welcome, {{ first_nam }}!"
    assert campaign.contents[0].email.text.startswith("Hello {{ first_name }},\n")


@pytest.mark.parametrize(("rate", "number"), [("50", 50.0), ("0.5", 0.5), ("1.0e+3", 1000.0)])
def test_pace_and_age_are_numbers_in_the_file(directory: Path, rate: str, number: float) -> None:
    limits = f"""\
category: urgent
time_to_live_s: 900
throttle: {{rate_per_s: {rate}, burst: 3}}
retry_policy:
  max_age_s: 600
"""
    (directory / "campaign.yaml").write_text(YAML.replace("category: marketing\n", limits))
    campaign = campaign_files.read(directory / "campaign.yaml").campaign
    assert (campaign.category, campaign.time_to_live_s) == (Campaign.CATEGORY_URGENT, 900)
    assert campaign.throttle == ThrottlePolicy(rate_per_s=number, burst=3)
    assert campaign.retry_policy.max_age_s == 600


async def test_pace_and_age_are_compared_and_changed(script: Script, cli: Cli, directory: Path) -> None:
    text = YAML.replace("category: marketing\n", "time_to_live_s: 900\nthrottle: {rate_per_s: 50}\n")
    (directory / "campaign.yaml").write_text(text)
    ended = await _apply_over(script, cli, directory, time_to_live_s=60)
    assert ended.json[0]["fields"] == ["time_to_live_s"]
    assert script.requests("UpdateCampaign")[-1].campaign.throttle.rate_per_s == 50.0
    (directory / "campaign.yaml").write_text(text.replace("throttle: {rate_per_s: 50}\n", ""))
    script.replace("GetCampaign", GetCampaignResponse(campaign=Campaign(throttle={"rate_per_s": 50}, etag="7")))
    ended = await cli("apply", directory, "-o", "json")
    assert "throttle" in ended.json[0]["fields"]  # what the file leaves out goes back to its default


async def test_a_limit_that_the_server_refuses_is_shown_where_it_stands(
    script: Script, cli: Cli, directory: Path
) -> None:
    limits = "category: marketing\nthrottle:\n  rate_per_s: -1\nretry_policy: {max_age_s: 60}\n"
    (directory / "campaign.yaml").write_text(YAML.replace("category: marketing\n", limits))
    script.on("GetCampaign", ABSENT)
    script.on(
        "CreateCampaign",
        invalid(
            ("campaign.throttle.rate_per_s", "must be 0 or more"), ("campaign.retry_policy.max_age_s", "too short")
        ),
    )
    err = (await cli("apply", directory)).err
    assert f"{directory}/campaign.yaml:5:15: must be 0 or more\n  5 |   rate_per_s: -1\n" in err
    assert f"{directory}/campaign.yaml:6:27: too short" in err


def test_the_example_campaign_can_be_read() -> None:
    read = campaign_files.read(EXAMPLE / "campaign.yaml")
    assert read.campaign_id == "order-confirmation"
    assert read.campaign.contents[0].email.html


async def test_a_new_campaign_is_created_and_activated_if_wanted(script: Script, cli: Cli, directory: Path) -> None:
    script.on("GetCampaign", ABSENT)
    script.on("CreateCampaign", created)
    live = Campaign(name="campaigns/welcome", state=Campaign.STATE_LIVE)
    script.on("ActivateCampaign", ActivateCampaignResponse(campaign=live))
    ended = await cli("apply", directory, "--activate")
    assert (ended.code, ended.out, ended.err) == (0, "welcome: created, activated\n", "")
    assert script.requests("ActivateCampaign")[0].etag == "1"


async def _apply_over(script: Script, cli: Cli, directory: Path, **changes: Any) -> Ended:
    stored = Campaign(name="campaigns/welcome", state=Campaign.STATE_LIVE, etag="7")
    stored.MergeFrom(campaign_files.read(directory / "campaign.yaml").campaign)
    stored.ambiguity_policy = Campaign.AMBIGUITY_POLICY_AT_MOST_ONCE  # a default that the server filled in
    for name, value in changes.items():
        setattr(stored, name, value)

    def updated(request: UpdateCampaignRequest) -> UpdateCampaignResponse:
        answer = UpdateCampaignResponse(campaign=request.campaign)
        answer.campaign.ambiguity_policy = Campaign.AMBIGUITY_POLICY_AT_MOST_ONCE
        return answer

    script.on("GetCampaign", GetCampaignResponse(campaign=stored))
    script.on("UpdateCampaign", updated)
    return await cli("apply", directory, "-o", "json")


async def test_what_did_not_change_is_not_sent(script: Script, cli: Cli, directory: Path) -> None:
    ended = await _apply_over(script, cli, directory)
    assert [(each["change"], each["fields"]) for each in ended.json] == [("unchanged", [])]
    assert all(request.validate_only for request in script.requests("UpdateCampaign"))


async def test_a_changed_campaign_says_which_fields(script: Script, cli: Cli, directory: Path) -> None:
    ended = await _apply_over(script, cli, directory, display_name="Hello", description="old")
    assert ended.json[0]["fields"] == ["display_name", "description"]
    update = script.requests("UpdateCampaign")[-1]
    assert not update.validate_only
    assert list(update.update_mask.paths) == ["display_name", "description"]
    assert update.etag == "7"


async def test_a_template_error_is_shown_where_it_stands(script: Script, cli: Cli, directory: Path) -> None:
    script.on("GetCampaign", ABSENT)
    wrong = ("campaign.contents[0].email.subject", "'first_nam' is not declared in the context")
    script.on("CreateCampaign", invalid(wrong, line="1", column="13"))
    ended = await cli("apply", directory)
    assert ended.code == 4
    assert ended.err.splitlines() == [
        f"error: {directory}/subject.j2:1:13: 'first_nam' is not declared in the context",
        "  1 | Welcome, {{ first_nam }}!",
        "    |             ^",
    ]


async def test_every_template_error_has_its_place_in_the_yaml_too(script: Script, cli: Cli, directory: Path) -> None:
    script.on("GetCampaign", ABSENT)
    places = ("campaign.contents[0].email.subject:1:13", "campaign.contents[0].email.text:2:18")
    script.on("CreateCampaign", invalid(*((place, "is not declared") for place in places)))
    ended = await cli("apply", directory)
    assert f"{directory}/subject.j2:1:13: is not declared" in ended.err
    assert f"{directory}/campaign.yaml:15:26: is not declared" in ended.err
    assert "  15 |         welcome since {{ sinc }}.\n     |                          ^\n" in ended.err


async def test_errors_are_in_the_json_too(script: Script, cli: Cli, directory: Path) -> None:
    script.on("GetCampaign", ABSENT)
    script.on(
        "CreateCampaign",
        invalid(("campaign.contents[0].email.subject:1:13", "is not declared")),
        Failure(code=grpc.StatusCode.FAILED_PRECONDITION, reason="CAMPAIGN_STATE", message="it is STOPPED"),
    )
    [failed] = (await cli("apply", directory, "-o", "json")).json
    assert (failed["change"], failed["campaign_id"]) == ("failed", "welcome")
    [error] = failed["errors"]
    assert error == {
        "reason": "TEMPLATE_INVALID",
        "file": f"{directory}/subject.j2", "line": 1, "column": 13, "message": "is not declared",
    }  # fmt: skip
    ended = await cli("apply", directory, "-o", "json")
    assert ended.json[0]["errors"] == [{"reason": "CAMPAIGN_STATE", "message": "it is STOPPED"}]
    assert ended.err.startswith("error: it is STOPPED (CAMPAIGN_STATE)\n")


async def test_mistakes_in_the_files_are_in_the_json_too(cli: Cli, directory: Path, tmp_path: Path) -> None:
    (directory / "campaign.yaml").write_text(YAML.replace("marketing", "markting"))
    ended = await cli("apply", directory, "-o", "json")
    assert ended.code == 4
    [error] = ended.json[0]["errors"]
    assert (error["file"], error["line"], error["column"]) == (f"{directory}/campaign.yaml", 3, 11)
    [failed] = (await cli("apply", tmp_path / "absent", "-o", "json")).json
    assert "no campaign.yaml" in failed["errors"][0]["message"]


async def test_an_error_without_a_place_in_the_files_keeps_its_path(script: Script, cli: Cli, directory: Path) -> None:
    script.on("GetCampaign", ABSENT)
    script.on("CreateCampaign", invalid(("campaign_id", "must be longer")))
    assert f"{directory}/campaign.yaml:1:1: campaign_id: must be longer" in (await cli("apply", directory)).err


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (YAML.replace("display_name", "displayname"), "2:1: unknown key 'displayname'; did you mean 'display_name'?"),
        (YAML.replace("marketing", "markting"), "3:11: 'category' must be one of transactional, marketing"),
        (YAML.replace("required: true", "required: perhaps"), "7:15: this must be true or false"),
        (YAML.replace("subject.j2", "absent.j2"), "12:21: "),
        (YAML.replace("category: marketing", "time_to_live_s: 1h"), "3:17: this must be a whole number"),
        (YAML.replace("category: marketing", "time_to_live_s: 5000000000"), "3:17: "),
        (YAML.replace("category: marketing", "throttle: 50"), "3:11: this must be a mapping: `key: value` lines"),
        (
            YAML.replace("category: marketing", "throttle: {rate: 5}"),
            "3:12: unknown key 'rate'; known are rate_per_s, burst",
        ),
        (RATE.format("fast"), "3:24: this must be a number, like 50 or 0.5"),
        (RATE.format('"50"'), "3:24: this must be a number, like 50 or 0.5"),
        (RATE.format("true"), "3:24: this must be a number, like 50 or 0.5"),
        (RATE.format(".nan"), "3:24: this must be a number, like 50 or 0.5"),
        (RATE.format(".inf"), "3:24: this must be a number, like 50 or 0.5"),
        (RATE.format("[1]"), "3:24: this must be a number, like 50 or 0.5"),
        (YAML.replace("category: marketing", "throttle: {burst: 0.5}"), "3:19: this must be a whole number"),
        (YAML.replace("marketing", "urgnt"), "3:11: 'category' must be one of transactional, marketing, urgent"),
        (YAML.replace("id: welcome", "state: live"), "1:1: unknown key 'state'; known are id, display_name"),
        (YAML.replace("type: string", "type: string\n    type: number"), "7:5: 'type' stands here twice"),
        (YAML.replace("contents:", "contents: {}\nx:"), "9:11: 'contents' must be a list"),
        (YAML + "      subject: both\n", "12:21: give either 'subject' or 'subject_file'"),
        (YAML.replace("id: welcome", "id: We"), "1:5: a campaign's id is 3 to 63 of a-z, 0-9 and -"),
        (YAML.replace("name: first_name", "name: first-name"), "5:11: a name of the context is up to 64 of a-z"),
        ("id: [", "1:6: this is not YAML: "),
        ("", "1:1: the file is empty"),
    ],
)
async def test_a_mistake_in_the_file_is_shown_before_anything_is_sent(
    script: Script, cli: Cli, directory: Path, wrong: str, complaint: str
) -> None:
    (directory / "campaign.yaml").write_text(wrong)
    ended = await cli("apply", directory)
    assert ended.code == 4
    assert f"error: {directory}/campaign.yaml:{complaint}" in ended.err
    assert script.calls == []


async def test_a_directory_of_campaigns_is_applied_whole(script: Script, cli: Cli, tmp_path: Path) -> None:
    script.on("GetCampaign", ABSENT)
    script.on("CreateCampaign", created)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        text = YAML.replace("id: welcome", f"id: {name}").replace("subject_file: subject.j2", "subject: Hi")
        (tmp_path / name / "campaign.yaml").write_text(text)
    ended = await cli("apply", tmp_path, "--dry-run")
    assert ended.out == "one: created (dry run)\ntwo: created (dry run)\n"
    assert all(request.validate_only for request in script.requests("CreateCampaign"))


async def test_a_directory_without_a_campaign_is_exit_code_4(cli: Cli, tmp_path: Path) -> None:
    ended = await cli("apply", tmp_path)
    assert ended.code == 4
    assert "no campaign.yaml" in ended.err
