"""The command line as people and scripts meet it: tables, JSON, what a trigger and a watch say."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clarion.v1.campaign_pb2 import Campaign
from clarion.v1.campaign_service_pb2 import (
    DeleteCampaignResponse,
    EmailMessage,
    GetCampaignResponse,
    ListCampaignsResponse,
    PauseCampaignResponse,
    PreviewCampaignResponse,
)
from clarion.v1.delivery_pb2 import Delivery
from clarion.v1.delivery_service_pb2 import GetDeliveryResponse, ListDeliveriesResponse
from clarion.v1.trigger_pb2 import DeliveryCounts, FieldViolation, RecipientRefusal, Trigger
from clarion.v1.trigger_service_pb2 import (
    CancelTriggerResponse,
    CreateTriggerRequest,
    CreateTriggerResponse,
    DeliveryChange,
    ListTriggersResponse,
    PauseTriggerResponse,
    ResumeTriggerResponse,
    WatchTriggerResponse,
)
from clients.conftest import Cli, command_line
from clients.scripted_server import Script, Silence

TRIGGER = "campaigns/order-confirmation/triggers/00j4k9x2m7q1c8v5b3n6"
DELIVERY = f"{TRIGGER}/deliveries/00j4k9x2m7q1c8v5b3n6-17"
SHORT_DELIVERY = "order-confirmation/00j4k9x2m7q1c8v5b3n6/00j4k9x2m7q1c8v5b3n6-17"
CAMPAIGN = Campaign(
    name="campaigns/order-confirmation",
    display_name="Order confirmation",
    category=Campaign.CATEGORY_TRANSACTIONAL,
    state=Campaign.STATE_LIVE,
    revision=3,
)


def watched(**counts: int) -> list[WatchTriggerResponse]:
    moved = DeliveryChange(delivery=DELIVERY, state=Delivery.STATE_SENT, attempts=1, provider="main")
    change = WatchTriggerResponse.Change(
        deliveries=[moved], counts=DeliveryCounts(**counts), state=Trigger.STATE_COMPLETED
    )
    return [
        WatchTriggerResponse(snapshot=Trigger(name=TRIGGER, state=Trigger.STATE_RUNNING), resume_token="1"),
        WatchTriggerResponse(heartbeat=WatchTriggerResponse.Heartbeat(), resume_token="1"),
        WatchTriggerResponse(change=change, resume_token="2"),
    ]


async def test_a_list_is_a_table_with_short_names(script: Script, cli: Cli) -> None:
    script.on("ListCampaigns", ListCampaignsResponse(campaigns=[CAMPAIGN]))
    ended = await cli("campaigns", "list")
    heading, row = ended.out.splitlines()
    assert heading.split() == ["CAMPAIGN", "STATE", "CATEGORY", "REV", "UPDATED", "NAME"]
    assert row.split() == ["order-confirmation", "LIVE", "transactional", "3", "Order", "confirmation"]
    assert (ended.code, ended.err) == (0, "")


async def test_a_list_is_one_json_array_with_the_contracts_names(script: Script, cli: Cli) -> None:
    script.on(
        "ListTriggers",
        ListTriggersResponse(triggers=[Trigger(name=TRIGGER, counts=DeliveryCounts(accepted=2))], next_page_token="n"),
        ListTriggersResponse(triggers=[Trigger(name=TRIGGER + "x")]),
    )
    ended = await cli("triggers", "list", "order-confirmation", "--output", "json")
    assert [each["name"] for each in ended.json] == [TRIGGER, TRIGGER + "x"]
    assert ended.json[0]["counts"]["accepted"] == "2"
    assert ended.json[0]["counts"]["in_flight"] == "0"


async def test_a_limit_ends_a_list_early(script: Script, cli: Cli) -> None:
    page = ListDeliveriesResponse(deliveries=[Delivery(name=DELIVERY)] * 2, next_page_token="more")
    script.on("ListDeliveries", page)
    ended = await cli(
        "deliveries", "list", TRIGGER, "--limit", "3", "--state", "sent", "--state", "failed", "-o", "json"
    )
    assert len(ended.json) == 3
    request = script.requests("ListDeliveries")[0]
    assert list(request.states) == [Delivery.STATE_SENT, Delivery.STATE_FAILED]


async def test_ids_are_not_wrapped_or_coloured_in_a_pipe(script: Script, cli: Cli) -> None:
    detail = "550 5.1.1 the mailbox does not exist here, " * 5
    script.on("ListDeliveries", ListDeliveriesResponse(deliveries=[Delivery(name=DELIVERY, detail=detail)]))
    ended = await cli("deliveries", "list", TRIGGER, COLUMNS="40", LINES="10")
    assert "\x1b" not in ended.out
    [row] = ended.out.splitlines()[1:]
    assert row.startswith(f"{SHORT_DELIVERY} ")
    assert row.endswith(detail.strip())


async def test_what_a_list_and_a_watch_call_a_delivery_is_what_get_takes(script: Script, cli: Cli) -> None:
    script.on("ListDeliveries", ListDeliveriesResponse(deliveries=[Delivery(name=DELIVERY)]))
    script.on("WatchTrigger", watched(accepted=1, sent=1))
    script.on("GetDelivery", GetDeliveryResponse(delivery=Delivery(name=DELIVERY)))
    listed = (await cli("deliveries", "list", TRIGGER)).out.splitlines()[1].split()[0]
    moved = (await cli("watch", TRIGGER)).out.splitlines()[0].split()[0]
    for name in (listed, moved):
        assert (await cli("deliveries", "get", name)).code == 0
    assert [request.name for request in script.requests("GetDelivery")] == [DELIVERY, DELIVERY]


async def test_an_empty_list_is_said_beside_the_result(script: Script, cli: Cli) -> None:
    script.on("ListCampaigns", ListCampaignsResponse())
    assert (await cli("campaigns", "list")).err == "no campaigns\n"
    assert (await cli("campaigns", "list", "-o", "json")).json == []


async def test_server_and_workspace_are_options_of_every_command(script: Script, cli: Cli) -> None:
    script.on("GetCampaign", GetCampaignResponse(campaign=CAMPAIGN))
    ended = await cli(
        *("campaigns", "get", "campaigns/order-confirmation", "-o", "json"),
        *("--server", script.target, "--workspace", "shop", "--timeout", "3"),
        CLARION_SERVER="127.0.0.1:1",
    )
    assert ended.json["state"] == "STATE_LIVE"
    assert script.calls[0].metadata["x-clarion-workspace"] == "shop"
    assert (script.calls[0].time_remaining_s or 0) < 4


async def test_a_move_says_the_new_state(script: Script, cli: Cli) -> None:
    script.on("PauseCampaign", PauseCampaignResponse(campaign=Campaign(name="campaigns/a-b", state=3)))
    assert (await cli("campaigns", "pause", "a-b", "--etag", "e")).out == "a-b is PAUSED\n"
    assert script.requests("PauseCampaign")[0].etag == "e"


async def test_a_deleted_campaign_is_said(script: Script, cli: Cli) -> None:
    script.on("DeleteCampaign", DeleteCampaignResponse())
    assert (await cli("campaigns", "delete", "campaigns/a-b")).out == "a-b: deleted\n"


async def test_a_cancelled_trigger_shows_its_account(script: Script, cli: Cli) -> None:
    counts = DeliveryCounts(accepted=3, sent=1, cancelled=2)
    script.on("CancelTrigger", CancelTriggerResponse(trigger=Trigger(name=TRIGGER, state=6, counts=counts)))
    ended = await cli("triggers", "cancel", TRIGGER)
    assert ended.out.endswith("is CANCELLED: accepted 3 · sent 1 · cancelled 2\n")


async def test_a_paused_and_a_resumed_trigger_show_their_account(script: Script, cli: Cli) -> None:
    counts = DeliveryCounts(accepted=3, in_flight=2, sent=1)
    paused, running = (Trigger(name=TRIGGER, campaign="campaigns/a-b", state=n, counts=counts) for n in (4, 3))
    script.on("PauseTrigger", PauseTriggerResponse(trigger=paused))
    script.on("ResumeTrigger", ResumeTriggerResponse(trigger=running), ResumeTriggerResponse(trigger=paused))
    ended = await cli("triggers", "pause", TRIGGER)
    assert ended.out.endswith("is PAUSED: accepted 3 · in flight 2 · sent 1\n")
    ended = await cli("triggers", "resume", "order-confirmation/00j4k9x2m7q1c8v5b3n6")
    assert ended.out.endswith("is RUNNING: accepted 3 · in flight 2 · sent 1\n")
    assert ended.err == ""
    ended = await cli("triggers", "resume", TRIGGER, "-o", "json")
    assert ended.json["state"] == "STATE_PAUSED"
    assert ended.err == "its campaign is PAUSED, and it goes on with that: clarion campaigns resume a-b\n"
    assert {request.name for request in script.requests("ResumeTrigger")} == {TRIGGER}


async def test_a_trigger_takes_an_expiry_and_an_ordering_key(script: Script, cli: Cli) -> None:
    def accepted(request: CreateTriggerRequest) -> CreateTriggerResponse:
        kept = Trigger(name=TRIGGER, expire_time=request.expire_time, ordering_key=request.ordering_key)
        kept.counts.accepted = 1
        return CreateTriggerResponse(trigger=kept)

    script.on("CreateTrigger", accepted)
    to = ("trigger", "welcome", "--to", "ana@example.com")
    before = datetime.now(UTC)
    ended = await cli(*to, "--expire-in", "1h30m", "--ordering-key", "account 7")
    after = datetime.now(UTC)
    assert ["ordering", "key", "account", "7"] in [line.split() for line in ended.out.splitlines()]
    document = (await cli(*to, "--expire-at", "2026-11-24T09:00:00+01:00", "--check", "-o", "json")).json
    assert document["expire_time"] == "2026-11-24T08:00:00Z"
    soon, fixed = script.requests("CreateTrigger")
    span = timedelta(hours=1, minutes=30)
    assert before + span <= soon.expire_time.ToDatetime(UTC) <= after + span
    assert (soon.ordering_key, fixed.ordering_key) == ("account 7", "")
    assert fixed.expire_time.ToJsonString() == "2026-11-24T08:00:00Z"


async def test_a_campaign_shows_its_pace_and_age(script: Script, cli: Cli) -> None:
    limited = Campaign(
        time_to_live_s=5400,
        throttle={"rate_per_s": 0.5, "burst": 3},
        retry_policy={"max_attempts": 8, "max_age_s": 302_400},
    )
    limited.MergeFrom(CAMPAIGN)
    script.on("GetCampaign", GetCampaignResponse(campaign=limited), GetCampaignResponse(campaign=CAMPAIGN))
    lines = (await cli("campaigns", "get", "order-confirmation")).out.splitlines()
    assert [" ".join(line.split()) for line in lines if line.startswith(("attempts", "time to", "throttle"))] == [
        "attempts 8 at most, within 3d12h",
        "time to live 1h30m",
        "throttle 0.5 a second, bursts of 3",
    ]
    plain = (await cli("campaigns", "get", "order-confirmation")).out
    assert "throttle" not in plain
    assert "time to live" not in plain


async def test_a_preview_shows_the_head_and_the_text_and_writes_the_html_on_request(script: Script, cli: Cli) -> None:
    html, text = "<p>Dear  \n [b]Ana[/b]</p>\n", "Dear [b]Ana[/b]\n-- \nThe shop\n"
    email = EmailMessage(
        to="ana@example.com", subject="Hello Ana", text=text, html=html, **{"from": "shop@example.com"}
    )
    script.on("PreviewCampaign", PreviewCampaignResponse(email=email))
    preview = ("campaigns", "preview", "welcome", "--to", "ana@example.com", "-c", "n=1")
    assert (await cli(*preview)).out.splitlines() == [
        "from     shop@example.com",
        "to       ana@example.com",
        "subject  Hello Ana",
        "",
        "Dear [b]Ana[/b]",
        "-- ",
        "The shop",
        "",
        "and an HTML body: --html writes it",
    ]
    assert (await cli(*preview, "--html")).out == html
    assert (await cli(*preview, "-o", "json")).json["email"]["html"] == html


async def test_a_trigger_takes_its_context_from_options_and_files(script: Script, cli: Cli, tmp_path: Path) -> None:
    script.on("CreateTrigger", CreateTriggerResponse(trigger=Trigger(name=TRIGGER)))
    (tmp_path / "all.json").write_text('{"order_id": "old", "items": [1]}')
    (tmp_path / "place.json").write_text('{"city": "Porto"}')
    options = [
        f"@{tmp_path}/all.json",
        "order_id=A-1",
        "total=12.5",
        "paid=true",
        'ref="42"',
        f"to=@{tmp_path}/place.json",
    ]
    arguments = [part for option in options for part in ("--context", option)]
    ended = await cli("trigger", "order-confirmation", "--to", "ana@example.com", "--user-id", "7", *arguments)
    [request] = script.requests("CreateTrigger")
    assert dict(request.context.items()) | {"items": 0, "to": 0} == {
        "order_id": "A-1", "total": 12.5, "paid": True, "ref": "42", "items": 0, "to": 0,
    }  # fmt: skip
    assert request.context["to"]["city"] == "Porto"
    assert request.recipients[0].user_id == "7"
    assert request.recipients[0].addresses["email"] == "ana@example.com"
    assert ended.code == 0


async def test_a_repeated_request_id_is_said(script: Script, cli: Cli) -> None:
    script.on("CreateTrigger", CreateTriggerResponse(trigger=Trigger(name=TRIGGER), replayed=True))
    script.on("WatchTrigger", watched(accepted=1, sent=1))
    again = ("trigger", "welcome", "--to", "ana@example.com", "--request-id", "0f4e2c9a-5b1d-4c3e-9a7f-2d6b8e1c0a35")
    assert "replayed    an earlier call with this request id" in (await cli(*again)).out
    assert (await cli(*again, "-o", "json")).json["replayed"] is True
    assert (await cli(*again, "--watch")).err == "an earlier call with this request id triggered it\n"


async def test_a_check_says_what_would_be_and_shows_nothing_that_is_not(script: Script, cli: Cli) -> None:
    refusal = RecipientRefusal(user_id="7", violations=[FieldViolation(field="recipients[0].locale", description="no")])
    counts = DeliveryCounts(accepted=2, in_flight=2, refused=1)
    trigger = Trigger(campaign_revision=3, state=Trigger.STATE_RUNNING, counts=counts, refusals=[refusal])
    script.on("CreateTrigger", CreateTriggerResponse(trigger=trigger))
    check = ("trigger", "welcome", "--to", "ana@example.com", "--check")
    assert [line.split(maxsplit=1) for line in (await cli(*check)).out.splitlines()] == [
        ["checked", "nothing is triggered"],
        ["revision", "3"],
        ["would", "accept  2"],
        ["would", "refuse  1"],
        ["refused", "7  recipients[0].locale: no"],
    ]
    document = (await cli(*check, "-o", "json")).json
    assert document["checked"] is True
    assert document["counts"] == {"accepted": "2", "refused": "1"}
    assert "state" not in document
    assert all(request.validate_only for request in script.requests("CreateTrigger"))


async def test_a_refused_recipient_is_exit_code_1(script: Script, cli: Cli) -> None:
    refusal = RecipientRefusal(user_id="7")
    refusal.violations.add(field="recipients[0].addresses.email", description="is no address")
    script.on("CreateTrigger", CreateTriggerResponse(trigger=Trigger(name=TRIGGER, refusals=[refusal])))
    ended = await cli("trigger", "welcome", "--to", "ana@")
    assert ended.code == 1
    assert "recipients[0].addresses.email: is no address" in ended.out


async def test_a_watch_prints_moves_and_ends_with_the_account(script: Script, cli: Cli) -> None:
    script.on("WatchTrigger", watched(accepted=1, sent=1))
    ended = await cli("watch", "order-confirmation/00j4k9x2m7q1c8v5b3n6")
    assert ended.code == 0
    assert f"{SHORT_DELIVERY}  SENT  via main\n" in ended.out
    assert ended.out.endswith("COMPLETED: accepted 1 · sent 1\n")
    assert script.requests("WatchTrigger")[0].name == TRIGGER


async def test_a_watch_is_json_lines_and_tells_failures_by_its_exit_code(script: Script, cli: Cli) -> None:
    script.on("WatchTrigger", watched(accepted=2, sent=1, failed=1))
    ended = await cli("watch", TRIGGER, "-o", "json")
    first, second = [json.loads(line) for line in ended.out.splitlines()]
    assert first["snapshot"]["state"] == "STATE_RUNNING"
    assert second["change"]["counts"]["failed"] == "1"
    assert ended.code == 1


async def test_version_is_said(cli: Cli) -> None:
    assert (await cli("version")).out.startswith("clarion ")
    assert (await cli("version", "-o", "json")).json["contract"] == "clarion.v1"
    assert (await cli("--version")).out == (await cli("version")).out


async def test_no_line_of_a_table_in_a_pipe_ends_with_blanks(script: Script, cli: Cli) -> None:
    script.on("ListCampaigns", ListCampaignsResponse(campaigns=[CAMPAIGN, Campaign(name="campaigns/a-b")]))
    script.on("GetCampaign", GetCampaignResponse(campaign=CAMPAIGN))
    for command in (["campaigns", "list"], ["campaigns", "get", "a-b"]):
        lines = (await cli(*command)).out.splitlines()
        assert len(lines) > 2
        assert lines == [line.rstrip() for line in lines]


async def test_ctrl_c_ends_a_watch_and_says_how_to_go_on(script: Script, cli_environment: dict[str, str]) -> None:
    script.on("WatchTrigger", [*watched(accepted=2, sent=1), Silence()])
    process = await asyncio.create_subprocess_exec(
        *command_line("watch", TRIGGER, "-o", "json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=cli_environment,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == 130
    assert err.decode() == (
        "interrupted; the trigger goes on; watch it again with: clarion watch order-confirmation/00j4k9x2m7q1c8v5b3n6\n"
    )
