"""A real grpc.aio server on a real socket that answers from a script: for what a client must do when things break."""

from __future__ import annotations

import asyncio
import inspect
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.protobuf import any_pb2, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from clarion.v1 import (
    campaign_service_pb2,
    channel_configuration_service_pb2,
    delivery_service_pb2,
    suppression_service_pb2,
    trigger_service_pb2,
    worker_service_pb2,
)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An error answer as Clarion's server makes it; without a reason, as a proxy would."""

    code: grpc.StatusCode
    reason: str = ""
    message: str = "no"
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: Sequence[tuple[str, str]] = ()
    retry_after_s: float | None = None
    domain: str = "clarion.dev"
    request_id: str = ""

    def details(self) -> list[Message]:
        """The `google.rpc` details that go with it."""
        info = error_details_pb2.ErrorInfo(reason=self.reason, domain=self.domain, metadata=self.metadata)
        details: list[Message] = [info] if self.reason else []
        if self.violations:
            bad = error_details_pb2.BadRequest()
            for path, description in self.violations:
                bad.field_violations.add(field=path, description=description)
            details.append(bad)
        if self.retry_after_s is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromNanoseconds(int(self.retry_after_s * 1e9))
            details.append(retry)
        if self.request_id:
            details.append(error_details_pb2.RequestInfo(request_id=self.request_id))
        return details

    async def abort(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """End the call with it."""
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for detail in self.details():
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        await context.abort_with_status(rpc_status.to_status(status))


class Silence:
    """No answer until the caller goes away."""


@dataclass(frozen=True)
class Call:
    """One call as the server saw it."""

    method: str
    request: Any
    metadata: Mapping[str, str]
    time_remaining_s: float | None


Step = Message | Failure | Silence | Sequence[Any] | Callable[[Any], Any]
"""An answer, an error, nothing, a stream of these, or a function of the request that gives one, perhaps later."""


class Script:
    """What the server answers, and what it was asked. The last step of a method holds for all further calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.target = ""
        self.server = grpc.aio.server()
        self._steps: dict[str, deque[Step]] = defaultdict(deque)
        self._called = asyncio.Condition()

    def on(self, method: str, *steps: Step) -> None:
        """Answer calls of this RPC with these steps, one after the other."""
        self._steps[method].extend(steps)

    def replace(self, method: str, *steps: Step) -> None:
        """Answer further calls of this RPC with these steps instead."""
        self._steps[method] = deque(steps)

    def requests(self, method: str) -> list[Any]:
        """The requests of one RPC, in order."""
        return [call.request for call in self.calls if call.method == method]

    async def stop(self) -> None:
        """End every call as a dying server would, and close the port."""
        await self.server.stop(grace=None)

    async def called(self, method: str, times: int = 1) -> None:
        """Return when this RPC was called so often."""
        async with self._called:
            await self._called.wait_for(lambda: len(self.requests(method)) >= times)

    async def step(self, method: str, request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Note the call and take its step from the script."""
        metadata = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
        async with self._called:
            self.calls.append(Call(method, request, metadata, context.time_remaining()))
            self._called.notify_all()
        steps = self._steps[method]
        if not steps:
            return Failure(code=grpc.StatusCode.UNIMPLEMENTED, message=f"{method} is not in the script")
        step = steps.popleft() if len(steps) > 1 else steps[0]
        return step(request) if callable(step) else step


async def _settle(step: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
    if inspect.isawaitable(step):
        step = await step
    if isinstance(step, Failure):
        await step.abort(context)
    if isinstance(step, Silence):
        await asyncio.Event().wait()
    return step


def _handler(script: Script, method: MethodDescriptor) -> Any:
    async def unary(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        return await _settle(await script.step(method.name, request, context), context)

    async def stream(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        steps = await script.step(method.name, request, context)
        for step in [steps] if isinstance(steps, Failure) else steps:
            yield await _settle(step, context)

    make, behaviour = (
        (grpc.unary_stream_rpc_method_handler, stream)
        if method.server_streaming
        else (grpc.unary_unary_rpc_method_handler, unary)
    )
    return make(
        behaviour,
        request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
        response_serializer=message_factory.GetMessageClass(method.output_type).SerializeToString,
    )


@asynccontextmanager
async def scripted_server(port: int = 0) -> AsyncIterator[Script]:
    """The server, listening at `script.target` until the block ends."""
    script = Script()
    server = script.server
    for module in (
        campaign_service_pb2,
        trigger_service_pb2,
        delivery_service_pb2,
        worker_service_pb2,
        suppression_service_pb2,
        channel_configuration_service_pb2,
    ):
        for service in module.DESCRIPTOR.services_by_name.values():
            handlers = {method.name: _handler(script, method) for method in service.methods}
            server.add_registered_method_handlers(service.full_name, handlers)
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
    script.target = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    await server.start()
    try:
        yield script
    finally:
        await script.stop()
