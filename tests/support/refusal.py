"""What a refused call says: code, reason and details; what holds for every error is checked on the way."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc import StatusCode
from grpc_status import rpc_status

from clarion.v1 import error_reason_pb2

PREFIX = "ERROR_REASON_"
# What every error of a code carries besides its ErrorInfo.
CARRIES = {
    StatusCode.INVALID_ARGUMENT: {"BadRequest"},
    StatusCode.NOT_FOUND: {"ResourceInfo"},
    StatusCode.ALREADY_EXISTS: {"ResourceInfo"},
    StatusCode.FAILED_PRECONDITION: {"PreconditionFailure"},
    StatusCode.ABORTED: set(),
    StatusCode.OUT_OF_RANGE: set(),
    StatusCode.RESOURCE_EXHAUSTED: {"QuotaFailure", "RetryInfo"},
    StatusCode.UNAVAILABLE: {"RetryInfo"},
    StatusCode.INTERNAL: {"RequestInfo"},
}
TRAILER_BYTES = 8 << 10  # what the strictest of the common clients, grpc-java, takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An error as a caller sees it; `details` by the name of their message, `reason` without its prefix."""

    code: StatusCode
    reason: str
    message: str
    metadata: dict[str, str]
    details: dict[str, Any]

    @property
    def says(self) -> tuple[StatusCode, str]:
        """What a program decides by."""
        return self.code, self.reason

    @property
    def violations(self) -> dict[str, str]:
        """What is wrong, by field path."""
        return {v.field: v.description for v in self.details["BadRequest"].field_violations}


async def refused(call: Awaitable[Any]) -> Refused:
    """The error of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return refusal_of(caught.value)


def refusal_of(error: grpc.aio.AioRpcError) -> Refused:
    """An error taken apart."""
    assert sum(len(name) + len(value) for name, value in error.trailing_metadata() or ()) * 4 / 3 < TRAILER_BYTES
    status = rpc_status.from_call(error)
    assert status is not None, f"{error.code()} comes without details: {error.details()}"
    details = {detail.TypeName().rpartition(".")[2]: _unpacked(detail) for detail in status.details}
    assert len(details) == len(status.details), "a kind of detail is there twice"
    info = details["ErrorInfo"]
    assert info.domain == "clarion.dev"
    assert error_reason_pb2.ErrorReason.Value(info.reason) > 0
    assert details.keys() == {"ErrorInfo"} | CARRIES[error.code()]
    return Refused(
        code=error.code(),
        reason=info.reason.removeprefix(PREFIX),
        message=error.details() or "",
        metadata=dict(info.metadata),
        details=details,
    )


def _unpacked(detail: Any) -> Any:
    message = getattr(error_details_pb2, detail.TypeName().rpartition(".")[2])()
    assert detail.Unpack(message)
    return message
