"""What a call can raise, as one tree by gRPC status.

    ClarionError
    ├── InvalidArgument        the request can't be right
    ├── NotFound               the name means nothing in this workspace
    ├── AlreadyExists          the id is taken, or the request id was used with another body
    ├── FailedPrecondition     the state forbids it
    ├── Aborted                somebody else changed it
    ├── OutOfRange             the watch token's events are no longer kept
    ├── ResourceExhausted      no room now
    ├── Unavailable            nobody can answer now
    ├── DeadlineExceeded       no answer in time; the call may have taken effect
    └── Internal               a defect of Clarion

`reason` tells errors of one status apart: one of `REASONS`, the contract's `ErrorReason` without its prefix. It comes
from `google.rpc.ErrorInfo`, never from the message text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from clarion.v1.error_reason_pb2 import ErrorReason

DOMAIN = "clarion.dev"
_DETAILS_KEY = "grpc-status-details-bin"  # where gRPC carries google.rpc.Status
_PREFIX = "ERROR_REASON_"

REASONS: frozenset[str] = frozenset(
    name.removeprefix(_PREFIX) for name, number in ErrorReason.items() if number != ErrorReason.ERROR_REASON_UNSPECIFIED
)
"""Every reason this version of the contract knows. A newer server may send others: go by the class then."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong: the path in the request, or the resource, and what would be right."""

    field: str
    description: str


class ClarionError(Exception):
    """The base of all: a call was answered with an error.

    `reason` is empty where the answer did not come from Clarion (a refused connection, a proxy). `retry_after_s` is
    set where the server says when to try again.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after_s = retry_after_s


class InvalidArgument(ClarionError):
    """The request can't be right, whatever the state; `violations` names the fields."""


class NotFound(ClarionError):
    """The name means nothing in this workspace, or the record's lifetime is over."""


class AlreadyExists(ClarionError):
    """The id is taken, or the request id was used before with another body."""


class FailedPrecondition(ClarionError):
    """The state forbids the call; `metadata` says which state it is and which would do."""


class Aborted(ClarionError):
    """Somebody else changed the resource: read it again, then decide."""


class OutOfRange(ClarionError):
    """The watch token points to events that are no longer kept."""


class ResourceExhausted(ClarionError):
    """The server takes no more now; `retry_after_s` says when to try again."""


class Unavailable(ClarionError):
    """Nobody can answer now, and repeating did not help in time."""


class DeadlineExceeded(ClarionError):
    """No answer in time. The call may have taken effect: repeat it with the same request id to learn it."""


class Internal(ClarionError):
    """A defect of Clarion; `metadata["request_id"]` is the id under which the server's log holds the cause."""


_CLASSES: Mapping[grpc.StatusCode, type[ClarionError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.INTERNAL: Internal,
    grpc.StatusCode.UNKNOWN: Internal,
    grpc.StatusCode.DATA_LOSS: Internal,
}


@dataclass(slots=True)
class _Details:
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    retry_after_s: float | None = None

    def take(self, detail: Message) -> None:
        match detail:
            case error_details_pb2.ErrorInfo() if detail.domain == DOMAIN:
                self.reason = detail.reason.removeprefix(_PREFIX)
                self.metadata.update(detail.metadata)
            case error_details_pb2.BadRequest():
                self.violations += [Violation(each.field, each.description) for each in detail.field_violations]
            case error_details_pb2.PreconditionFailure() | error_details_pb2.QuotaFailure():
                self.violations += [Violation(each.subject, each.description) for each in detail.violations]
            case error_details_pb2.RetryInfo():
                self.retry_after_s = detail.retry_delay.ToTimedelta().total_seconds()
            case error_details_pb2.RequestInfo():
                self.metadata["request_id"] = detail.request_id


def from_rpc_error(error: grpc.aio.AioRpcError) -> ClarionError:
    """The typed error for what a call raised; details that can't be read count as absent."""
    details = _Details()
    for detail in _unpacked(error):
        details.take(detail)
    return _CLASSES.get(error.code(), ClarionError)(
        error.details() or error.code().name,
        code=error.code(),
        reason=details.reason,
        metadata=details.metadata,
        violations=details.violations,
        retry_after_s=details.retry_after_s,
    )


_DETAIL_TYPES: tuple[type[Message], ...] = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.PreconditionFailure,
    error_details_pb2.QuotaFailure,
    error_details_pb2.RetryInfo,
    error_details_pb2.RequestInfo,
)


def _unpacked(error: grpc.aio.AioRpcError) -> Iterator[Message]:
    for packed in _status(error).details:
        for kind in _DETAIL_TYPES:
            if packed.Is(kind.DESCRIPTOR):
                detail = kind()
                packed.Unpack(detail)
                yield detail


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    status = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                status.ParseFromString(value)
            except DecodeError:
                status.Clear()
    return status
