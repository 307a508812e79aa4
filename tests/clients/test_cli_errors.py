"""What the command line says when something is wrong: one block, an exit code, and what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from buf.validate import validate_pb2
from clarion.v1.campaign_pb2 import ContextField
from clarion.v1.campaign_service_pb2 import CreateCampaignRequest, GetCampaignRequest, ListCampaignsResponse
from clarion.v1.delivery_service_pb2 import GetDeliveryRequest
from clarion.v1.trigger_service_pb2 import GetTriggerRequest
from clarion_client.cli import name_forms
from clients.conftest import Cli, command_line
from clients.scripted_server import Failure, Script, scripted_server
from clients.test_cli import TRIGGER

UUID = "0f4e2c9a-5b1d-4c3e-9a7f-2d6b8e1c0a35"
CODES: Mapping[int, Failure] = {
    3: Failure(code=grpc.StatusCode.NOT_FOUND, reason="CAMPAIGN_NOT_FOUND"),
    4: Failure(code=grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_REQUEST"),
    5: Failure(code=grpc.StatusCode.FAILED_PRECONDITION, reason="CAMPAIGN_STATE"),
    6: Failure(code=grpc.StatusCode.UNAVAILABLE, reason="STORE_UNAVAILABLE", retry_after_s=60),
    70: Failure(code=grpc.StatusCode.INTERNAL, reason="INTERNAL", request_id="r-1"),
}


@pytest.mark.parametrize("code", CODES)
async def test_an_error_is_one_block_on_stderr_and_its_exit_code(script: Script, cli: Cli, code: int) -> None:
    script.on("GetCampaign", CODES[code])
    ended = await cli("campaigns", "get", "welcome")
    assert ended.code == code
    assert ended.out == ""
    assert ended.err.startswith(f"error: no ({CODES[code].reason})\n")
    assert "Traceback" not in ended.err


async def test_an_error_says_where_and_what_to_do(script: Script, cli: Cli) -> None:
    script.on(
        "CreateTrigger",
        Failure(
            code=grpc.StatusCode.INVALID_ARGUMENT,
            reason="CONTEXT_INVALID",
            message="the context does not fit",
            violations=[("context.total", "must be a number, is a string")],
        ),
    )
    ended = await cli("trigger", "welcome", "--to", "ana@example.com", "-c", "total=much")
    assert ended.err.splitlines() == [
        "error: the context does not fit (CONTEXT_INVALID)",
        "  where  context.total: must be a number, is a string",
        "  to do  give what the campaign declares; `clarion campaigns get` lists it",
    ]


async def test_a_defect_names_the_id_in_the_log(script: Script, cli: Cli) -> None:
    script.on("GetCampaign", CODES[70])
    assert "  log id r-1\n" in (await cli("campaigns", "get", "welcome")).err


@pytest.mark.parametrize(
    ("command", "state", "hint"),
    [
        (["campaigns", "activate", "a-b"], "PAUSED", "resume it: clarion campaigns resume a-b"),
        (["campaigns", "activate", "a-b"], "LIVE", "nothing: it is LIVE already"),
        (["campaigns", "activate", "a-b"], "STOPPED", "STOPPED is final: create another campaign"),
        (["campaigns", "delete", "a-b"], "LIVE", "stop it first: clarion campaigns stop a-b"),
        (["campaigns", "pause", "a-b"], "PAUSED", "nothing: it is PAUSED already"),
        (["campaigns", "stop", "a-b"], "STOPPED", "nothing: it is STOPPED already"),
        (["trigger", "a-b", "--to", "ana@example.com"], "DRAFT", "activate it: clarion campaigns activate a-b"),
        (["trigger", "a-b", "--to", "ana@example.com"], "PAUSED", "resume it: clarion campaigns resume a-b"),
        (["trigger", "a-b", "--to", "ana@example.com"], "STOPPED", "STOPPED is final: create another campaign"),
    ],
)
async def test_what_to_do_about_a_state_depends_on_the_state_and_the_command(
    script: Script, cli: Cli, command: list[str], state: str, hint: str
) -> None:
    message = f"campaigns/a-b: can't do that while {state}; it must be another"
    failure = Failure(
        code=grpc.StatusCode.FAILED_PRECONDITION,
        reason="CAMPAIGN_STATE",
        message=message,
        metadata={"resource": "campaigns/a-b", "state": state},
    )
    for method in ("ActivateCampaign", "DeleteCampaign", "PauseCampaign", "StopCampaign", "CreateTrigger"):
        script.on(method, failure)
    ended = await cli(*command)
    assert ended.code == 5
    assert ended.err.splitlines() == [f"error: {message} (CAMPAIGN_STATE)", f"  to do  {hint}"]


async def test_an_error_says_nothing_twice_and_counts_what_it_does_not_hold(script: Script, cli: Cli) -> None:
    first, second = ("context.a", "is required"), ("context.b", "is required")
    failure = Failure(
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason="CONTEXT_INVALID",
        message="context.a: is required",
        violations=[first],
    )
    script.on("CreateTrigger", failure, replace(failure, violations=[first, second], metadata={"violations": "40"}))
    trigger = ("trigger", "welcome", "--to", "ana@example.com")
    assert (await cli(*trigger)).err.splitlines()[1].startswith("  to do  ")
    assert (await cli(*trigger)).err.splitlines()[1:3] == ["  where  context.b: is required", "         and 38 more"]


async def test_a_server_that_is_not_there_is_said_with_its_address(cli: Cli) -> None:
    ended = await cli("campaigns", "list", "--server", "127.0.0.1:1", "--timeout", "0.5")
    assert ended.code == 6
    assert ended.err.splitlines() == [
        "error: no server answers at 127.0.0.1:1 (connection refused)",
        "  to do  start one (make up), or name it: --server / CLARION_SERVER",
    ]


async def test_a_server_that_is_waited_for_is_said_beside_the_result(
    script: Script, cli_environment: dict[str, str]
) -> None:
    await script.stop()
    process = await asyncio.create_subprocess_exec(
        *command_line("campaigns", "list", "-o", "json", "--timeout", "60"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=cli_environment,
    )
    assert process.stderr is not None
    assert (await process.stderr.readline()).decode() == f"waiting for {script.target} …\n"
    async with scripted_server(int(script.target.rpartition(":")[2])) as started:
        started.on("ListCampaigns", ListCampaignsResponse())
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (0, b"[]\n", b"")


@pytest.mark.parametrize(
    "arguments",
    [
        ["trigger", "welcome"],
        ["trigger", "welcome", "--to", "ana@example.com", "--file", "x.jsonl"],
        ["trigger", "welcome", "--to", "ana@example.com", "--again"],
        ["trigger", "welcome", "--to", "ana@example.com", "--context", "novalue"],
        ["trigger", "welcome", "--to", "ana@example.com", "--check", "--watch"],
        ["trigger", "welcome", "--file", "x.jsonl", "--again", "--run-id", "r-1"],
        ["trigger", "welcome", "--file", "x.jsonl", "--expire-in", "10m"],
        ["trigger", "welcome", "--file", "x.jsonl", "--expire-at", "2026-11-24T08:00:00Z"],
        ["trigger", "welcome", "--file", "x.jsonl", "--ordering-key", "k"],
        ["trigger", "welcome", "--to", "ana@example.com", "--expire-in", "10m", "--expire-at", "2026-11-24T08:00:00Z"],
        ["trigger", "welcome", "--to", "ana@example.com", "--expire-in", "10m", "--request-id", UUID],
        ["trigger", "welcome", "--to", "ana@example.com", "--expire-in", "0s"],
        ["trigger", "welcome", "--to", "ana@example.com", "--expire-at", "2026-11-24T08:00:00"],
        ["deliveries", "list", TRIGGER, "--state", "lost"],
        ["campaigns", "list", "--output", "yaml"],
        ["campains"],
    ],
)
async def test_a_wrong_command_line_is_exit_code_2(cli: Cli, arguments: list[str]) -> None:
    ended = await cli(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert "Traceback" not in ended.err


async def test_unreadable_input_is_exit_code_4(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "text.json").write_text("no")
    for name in ("absent.json", "list.json", "text.json"):
        ended = await cli("trigger", "welcome", "--to", "ana@example.com", "--context", f"@{tmp_path}/{name}")
        assert ended.code == 4
        assert ended.err.startswith("error: ")


async def test_a_forgotten_at_sign_is_guessed_where_there_is_such_a_file(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "context.json"
    path.write_text("{}")
    ended = await cli("trigger", "welcome", "--to", "ana@example.com", "--context", path)
    assert ended.code == 2
    assert f"did you mean @{path}?" in ended.err


async def test_the_exit_codes_are_in_the_help(cli: Cli) -> None:
    help_text = (await cli("--help")).out
    for code in (0, 1, 2, 3, 4, 5, 6, 70, 130):
        assert f"\n  {code:>5}  " in help_text


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["campaigns", "get", "Order_Confirmation"], "a campaign's name is 3 to 63 of a-z"),
        (["triggers", "get", "order-confirmation"], "a trigger's name is CAMPAIGN/TRIGGER, like order-confirmation/0"),
        (["deliveries", "get", "00j4k9x2m7q1c8v5b3n6-17"], "a delivery's name is CAMPAIGN/TRIGGER/DELIVERY, like "),
        (["trigger", "welcome", "--to", "ana@example.com", "--locale", "Brazil!"], "a locale is a BCP 47 tag"),
        (["trigger", "welcome", "--to", "ana@example.com", "--request-id", "7"], "a request id is a UUID"),
    ],
)
async def test_a_name_that_can_not_be_right_is_explained_without_a_call(
    script: Script, cli: Cli, arguments: list[str], rule: str
) -> None:
    ended = await cli(*arguments)
    assert ended.code == 2
    assert rule in ended.err
    assert script.calls == []


def test_the_forms_of_names_are_those_of_the_contract() -> None:
    fields = {
        name_forms.CAMPAIGN_ID: CreateCampaignRequest.DESCRIPTOR.fields_by_name["campaign_id"],
        name_forms.CAMPAIGN: GetCampaignRequest.DESCRIPTOR.fields_by_name["name"],
        name_forms.TRIGGER: GetTriggerRequest.DESCRIPTOR.fields_by_name["name"],
        name_forms.DELIVERY: GetDeliveryRequest.DESCRIPTOR.fields_by_name["name"],
        name_forms.CONTEXT_NAME: ContextField.DESCRIPTOR.fields_by_name["name"],
    }
    for form, descriptor in fields.items():
        assert descriptor.GetOptions().Extensions[validate_pb2.field].string.pattern == f"^{form.pattern}$"
