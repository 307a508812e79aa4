"""Errors become types by their status and reason, never by their text."""

from __future__ import annotations

import grpc
import pytest

import clarion_client
from clarion_client import Violation
from clients.scripted_server import Failure, Script

CLASSES = {
    grpc.StatusCode.INVALID_ARGUMENT: clarion_client.InvalidArgument,
    grpc.StatusCode.NOT_FOUND: clarion_client.NotFound,
    grpc.StatusCode.ALREADY_EXISTS: clarion_client.AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: clarion_client.FailedPrecondition,
    grpc.StatusCode.ABORTED: clarion_client.Aborted,
    grpc.StatusCode.OUT_OF_RANGE: clarion_client.OutOfRange,
    grpc.StatusCode.RESOURCE_EXHAUSTED: clarion_client.ResourceExhausted,
    grpc.StatusCode.DEADLINE_EXCEEDED: clarion_client.DeadlineExceeded,
    grpc.StatusCode.INTERNAL: clarion_client.Internal,
    grpc.StatusCode.UNKNOWN: clarion_client.Internal,
    grpc.StatusCode.PERMISSION_DENIED: clarion_client.ClarionError,
}


@pytest.mark.parametrize("code", CLASSES, ids=lambda code: code.name)
async def test_the_status_decides_the_class(
    script: Script, clarion: clarion_client.Clarion, code: grpc.StatusCode
) -> None:
    script.on("GetCampaign", Failure(code=code, message="words"))
    with pytest.raises(clarion_client.ClarionError) as caught:
        await clarion.get_campaign("welcome")
    assert type(caught.value) is CLASSES[code]
    assert (caught.value.code, caught.value.message, str(caught.value)) == (code, "words", "words")
    assert caught.value.reason == ""


@pytest.mark.parametrize("reason", ["CAMPAIGN_EXISTS", "ERROR_REASON_CAMPAIGN_EXISTS"])
async def test_the_details_become_attributes(script: Script, clarion: clarion_client.Clarion, reason: str) -> None:
    script.on(
        "GetCampaign",
        Failure(
            code=grpc.StatusCode.ALREADY_EXISTS,
            reason=reason,
            metadata={"campaign": "campaigns/welcome"},
            violations=[("a.b", "is wrong"), ("c", "is worse")],
            retry_after_s=1.5,
        ),
    )
    with pytest.raises(clarion_client.AlreadyExists) as caught:
        await clarion.get_campaign("welcome")
    error = caught.value
    assert error.reason == "CAMPAIGN_EXISTS"
    assert error.reason in clarion_client.REASONS
    assert error.metadata == {"campaign": "campaigns/welcome"}
    assert error.violations == (Violation("a.b", "is wrong"), Violation("c", "is worse"))
    assert error.retry_after_s == 1.5


async def test_a_reason_of_another_domain_is_not_ours(script: Script, clarion: clarion_client.Clarion) -> None:
    script.on("GetCampaign", Failure(code=grpc.StatusCode.NOT_FOUND, reason="NO_ROUTE", domain="proxy.example"))
    with pytest.raises(clarion_client.NotFound) as caught:
        await clarion.get_campaign("welcome")
    assert caught.value.reason == ""


async def test_a_defect_tells_where_the_log_holds_its_cause(script: Script, clarion: clarion_client.Clarion) -> None:
    script.on("GetCampaign", Failure(code=grpc.StatusCode.INTERNAL, reason="INTERNAL", request_id="r-1"))
    with pytest.raises(clarion_client.Internal) as caught:
        await clarion.get_campaign("welcome")
    assert caught.value.metadata["request_id"] == "r-1"


async def test_a_server_that_is_not_there_is_unavailable_without_a_reason() -> None:
    retry = clarion_client.RetryConfig(max_attempts=2, initial_backoff_s=0.001)
    async with clarion_client.connect("127.0.0.1:1", retry=retry) as clarion:
        with pytest.raises(clarion_client.Unavailable) as caught:
            await clarion.get_campaign("welcome")
    assert caught.value.reason == ""


def test_every_reason_of_the_contract_is_public() -> None:
    assert {"HISTORY_TRIMMED", "REQUEST_ID_REUSED", "INTERNAL"} <= clarion_client.REASONS
    assert "UNSPECIFIED" not in clarion_client.REASONS
    assert len(clarion_client.REASONS) >= 20
