"""Errors on the wire: one table from the domain's tree to `google.rpc.Status` and its details."""

from __future__ import annotations

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from clarion.v1 import error_reason_pb2
from clarion_core.domain import errors
from clarion_server.text import cut

DOMAIN = "clarion.dev"  # of ErrorInfo: whose reasons these are

# An error travels in trailers, of which clients take 8 KiB (grpc-java) or 16 (most others): beyond that the call fails
# with an error of the transport, and code, message and details are lost. Base64 and percent-encoding count.
MESSAGE_BYTES = 300
FIELD_BYTES = 200
DESCRIPTION_BYTES = 400
VIOLATIONS_BYTES = 2_500

# The nearest entry along a class's bases counts; everything else is INTERNAL.
CODES: dict[type[Exception], grpc.StatusCode] = {
    errors.Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.WrongState: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Conflict: grpc.StatusCode.ABORTED,
    errors.HistoryTrimmed: grpc.StatusCode.OUT_OF_RANGE,
    errors.Exhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
}


def code_of(error: Exception) -> grpc.StatusCode:
    """The status code of an error."""
    return next((CODES[base] for base in type(error).__mro__ if base in CODES), grpc.StatusCode.INTERNAL)


def status_of(error: errors.ClarionError) -> status_pb2.Status:
    """The status of a known error: its message, one ErrorInfo, and the details that fit its kind."""
    code: int = code_of(error).value[0]
    violations = _violations(error)
    left_out = len(violations) < len(error.problems)
    metadata = error.metadata | ({"violations": str(len(error.problems))} if left_out else {})
    details: list[Message] = [_info(error.reason, metadata)]
    if violations:
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    return _status(code, cut(error.message, MESSAGE_BYTES), [*details, *_details(error)])


def internal(error_id: str) -> status_pb2.Status:
    """The status of a defect: the id under which the log has the cause, and nothing of it."""
    message = f"internal error {error_id}: the server's log has the cause"
    code: int = grpc.StatusCode.INTERNAL.value[0]
    details = [_info("INTERNAL", {"error_id": error_id}), error_details_pb2.RequestInfo(request_id=error_id)]
    return _status(code, message, details)


def _status(code: int, message: str, details: list[Message]) -> status_pb2.Status:
    packed = []
    for detail in details:
        wrapped = any_pb2.Any()
        wrapped.Pack(detail)
        packed.append(wrapped)
    return status_pb2.Status(code=code, message=message, details=packed)


def _info(reason: str, metadata: dict[str, str]) -> error_details_pb2.ErrorInfo:
    name = f"ERROR_REASON_{reason}"
    error_reason_pb2.ErrorReason.Value(name)  # the contract must know it
    return error_details_pb2.ErrorInfo(reason=name, domain=DOMAIN, metadata=metadata)


def _details(error: errors.ClarionError) -> list[Message]:
    found: list[Message] = []
    match error:
        case errors.NotFound() | errors.AlreadyExists():
            found.append(error_details_pb2.ResourceInfo(resource_name=error.resource))
        case errors.WrongState():
            violation = error_details_pb2.PreconditionFailure.Violation(
                type="STATE",
                subject=error.resource,
                description=f"is {error.state}, must be {' or '.join(error.allowed)}",
            )
            found.append(error_details_pb2.PreconditionFailure(violations=[violation]))
        case errors.Exhausted():
            quota = error_details_pb2.QuotaFailure.Violation(
                subject=error.metadata.get("subject", "server"), description=error.message
            )
            found.append(error_details_pb2.QuotaFailure(violations=[quota]))
        case _:
            pass
    if error.retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(1000 * error.retry_after_s))
        found.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return found


def _violations(error: errors.ClarionError) -> list[error_details_pb2.BadRequest.FieldViolation]:
    """The error's problems, the first ones that fit."""
    found: list[error_details_pb2.BadRequest.FieldViolation] = []
    room = VIOLATIONS_BYTES
    for problem in error.problems:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=cut(problem.path, FIELD_BYTES), description=cut(problem.description, DESCRIPTION_BYTES)
        )
        room -= violation.ByteSize()
        if room < 0:
            break
        found.append(violation)
    return found
