"""The one interceptor: limits, workspace, the contract's rules, errors, and the access log, in one pass.

It wraps unary and streaming handlers alike; a handler sees a valid request and may raise the domain's errors.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import protovalidate
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2
from grpc_status import rpc_status

from clarion_core import logs
from clarion_core.domain.errors import (
    ClarionError,
    Draining,
    FieldProblem,
    InvalidRequest,
    Overloaded,
    StoreUnavailable,
)
from clarion_server import failures
from clarion_server.calls import Calls

WORKSPACE_HEADER = "x-clarion-workspace"
DEFAULT_WORKSPACE = "default"
MAX_REQUEST = 4 << 20  # bytes of a request, but for what has files
_WORKSPACE = re.compile(r"[a-z][a-z0-9-]{0,62}")
_OURS = "/clarion."  # health and reflection answer for themselves

log = logs.get(__name__)
_workspace: ContextVar[str] = ContextVar("workspace")

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]  # generic in the stubs alone
Context = grpc.aio.ServicerContext[Any, Any]
Reader = Callable[[bytes], Message]


def workspace() -> str:
    """The workspace of the call that is being handled."""
    return _workspace.get()


class Edge(grpc.aio.ServerInterceptor):
    """Wraps every handler of Clarion's services; refuses every call until it is `open`, and once it is `draining`."""

    def __init__(self, *, max_calls: int, max_watches: int, larger: Mapping[str, int] | None = None) -> None:
        """`larger`: methods whose requests may have more than `MAX_REQUEST` bytes, and how many."""
        self.calls = Calls()
        self._larger = larger or {}
        self._limits = {False: max_calls, True: max_watches}
        self._in_hand = {False: 0, True: 0}  # by whether the call streams
        self._wrapped: dict[str, Handler] = {}
        self._validator = protovalidate.Validator()
        self.open = False
        self.draining = False

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The handler of the method, wrapped; wrapped once a method."""
        method = handler_call_details.method
        if not method.startswith(_OURS):
            return await continuation(handler_call_details)
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            self._wrapped[method] = self._wrap(method.rpartition("/")[2], handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: Any) -> Handler:
        assert not handler.request_streaming, f"{method}: client streams need a wrapper of their own"
        # Requests are read here: what gRPC itself can't read leaves as UNKNOWN, with the exception's text.
        read = partial(_parsed, read=handler.request_deserializer, most=self._larger.get(method, MAX_REQUEST))
        write = handler.response_serializer
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, read, handler.unary_stream), response_serializer=write
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, read, handler.unary_unary), response_serializer=write
        )

    def _unary(self, method: str, read: Reader, call: Callable[[Any, Context], Awaitable[Any]]) -> Any:
        async def handle(data: bytes, context: Context) -> Any:
            with _Call(method, self.calls) as record:
                try:
                    request = self._enter(data, read, context, streams=False)
                    try:
                        return await call(request, context)
                    finally:
                        self._in_hand[False] -= 1
                except Exception as error:
                    await _abort(context, record.status_of(error))

        return handle

    def _stream(self, method: str, read: Reader, call: Callable[[Any, Context], AsyncIterator[Any]]) -> Any:
        async def handle(data: bytes, context: Context) -> AsyncIterator[Any]:
            with _Call(method, self.calls) as record:
                try:
                    request = self._enter(data, read, context, streams=True)
                    try:
                        async for response in call(request, context):
                            yield response
                    finally:
                        self._in_hand[True] -= 1
                except Exception as error:
                    await _abort(context, record.status_of(error))

        return handle

    def _enter(self, data: bytes, read: Reader, context: Context, *, streams: bool) -> Message:
        """Let a call in, and count it: its request. Raises what keeps it out."""
        if self.draining:
            raise Draining
        if not self.open:
            raise StoreUnavailable
        if self._in_hand[streams] >= self._limits[streams]:
            raise Overloaded("watches" if streams else "calls", self._limits[streams])
        _workspace.set(_asked_workspace(context))
        request = read(data)
        if violations := self._validator.collect_violations(request):
            raise InvalidRequest.of([_problem(violation) for violation in violations])
        self._in_hand[streams] += 1
        return request


class _Call:
    """One call's line in the access log, and its place in the counts."""

    def __init__(self, method: str, calls: Calls) -> None:
        self._method, self._calls, self._code, self._reason = method, calls, "OK", ""
        self._started = time.perf_counter()

    def __enter__(self) -> _Call:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if error is not None and not isinstance(error, grpc.aio.AbortError):
            self._code = "CANCELLED"  # the caller went away, or its deadline passed
        extra = {"reason": self._reason} if self._reason else {}
        elapsed_s = time.perf_counter() - self._started
        self._calls.note(self._method, self._code, elapsed_s)
        elapsed_ms = round(1000 * elapsed_s, 2)
        log.info("call", method=self._method, code=self._code, ms=elapsed_ms, workspace=_workspace.get(""), **extra)

    def status_of(self, error: Exception) -> status_pb2.Status:
        """The status for an error; what is not known is logged under an id and kept from the caller."""
        code = failures.code_of(error)
        self._code = code.name
        if isinstance(error, ClarionError) and code is not grpc.StatusCode.INTERNAL:
            self._reason = error.reason
            return failures.status_of(error)
        error_id = secrets.token_hex(8)
        log.error("call_failed", method=self._method, error_id=error_id, exc_info=error)
        self._reason = "INTERNAL"
        return failures.internal(error_id)


async def _abort(context: Context, status: status_pb2.Status) -> NoReturn:
    await context.abort_with_status(rpc_status.to_status(status))
    raise AssertionError("abort_with_status raises")


def _parsed(data: bytes, read: Reader, most: int) -> Message:
    if len(data) > most:
        description = f"is {len(data):,} bytes long, {most:,} at most"
        raise InvalidRequest.of([FieldProblem(path="request", description=description)])
    try:
        return read(data)
    except DecodeError:
        description = "can't be read as this method's request; check field types, UTF-8, and depth (100 at most)"
        raise InvalidRequest.of([FieldProblem(path="request", description=description)]) from None


def _asked_workspace(context: Context) -> str:
    for name, value in context.invocation_metadata() or ():
        if name == WORKSPACE_HEADER:
            if isinstance(value, str) and _WORKSPACE.fullmatch(value):
                return value
            rule = "must be a lower-case letter, then letters, digits and hyphens, 63 at most"
            raise InvalidRequest.of([FieldProblem(path=f"metadata.{WORKSPACE_HEADER}", description=rule)])
    return DEFAULT_WORKSPACE


def _problem(violation: protovalidate.Violation) -> FieldProblem:
    return FieldProblem(path=_path(violation), description=violation.proto.message)


def _path(violation: protovalidate.Violation) -> str:
    """The violated field's path as a caller would write it: `recipients[3].addresses["sms"]`."""
    path = ""
    for element in violation.proto.field.elements if violation.proto.field else ():
        path += f".{element.field_name}" if path else element.field_name
        subscript = element.subscript
        if subscript is not None:
            path += f'["{subscript.value}"]' if isinstance(subscript.value, str) else f"[{subscript.value}]"
    return path or "request"
