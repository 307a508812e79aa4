"""A watch that survives its streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from clarion.v1.trigger_service_pb2 import WatchTriggerRequest, WatchTriggerResponse
from clarion_client.connection import Caller
from clarion_client.errors import ClarionError, DeadlineExceeded, OutOfRange, Unavailable, from_rpc_error
from clarion_client.retry import pause_s

if TYPE_CHECKING:  # the generated module has the name for type checkers alone
    from clarion.v1.trigger_service_pb2_grpc import TriggerServiceAsyncStub

STREAM_S = 3_600.0
"""The deadline of one stream; a longer watch goes on in the next one."""

Stream = grpc.aio.UnaryStreamCall[WatchTriggerRequest, WatchTriggerResponse]


class Watch:
    """The steps of one trigger from `resume_token` on, over as many streams as it takes.

    A broken stream is resumed behind the last answer. Where those events are no longer kept, the watch starts over
    with a snapshot. It raises Unavailable when no stream answers for `RetryConfig.watch_patience_s`.
    """

    def __init__(
        self, stub: TriggerServiceAsyncStub, caller: Caller, name: str, resume_token: str, *, feedback: bool
    ) -> None:
        self._stub = stub
        self._caller = caller
        self._name = name
        self._token = resume_token
        self._feedback = feedback
        self._failures = 0
        self._alive_at = 0.0

    async def steps(self) -> AsyncGenerator[WatchTriggerResponse, None]:
        """Every step but heartbeats, in order; ends when the trigger is finished, unless it is for feedback."""
        self._sign_of_life()
        while True:
            stream = self._open()
            try:
                while (step := await self._next(stream)) is not None:
                    if not step.HasField("heartbeat"):
                        yield step
                return
            except ClarionError as error:
                pause = self._recover(error)
            finally:
                stream.cancel()
            await asyncio.sleep(pause)

    def _open(self) -> Stream:
        request = WatchTriggerRequest(name=self._name, resume_token=self._token, feedback=self._feedback)
        return self._stub.WatchTrigger(request, timeout=STREAM_S, metadata=self._caller.metadata)

    async def _next(self, stream: Stream) -> WatchTriggerResponse | None:
        try:
            async with asyncio.timeout(self._caller.retry.watch_silence_s):
                step = await stream.read()
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        except TimeoutError:
            code = grpc.StatusCode.UNAVAILABLE
            raise Unavailable("the stream went silent", code=code) from None
        if not isinstance(step, WatchTriggerResponse):
            return None
        self._token = step.resume_token or self._token
        self._sign_of_life()
        return step

    def _sign_of_life(self) -> None:
        self._failures = 0
        self._alive_at = asyncio.get_running_loop().time()

    def _recover(self, error: ClarionError) -> float:
        match error:
            case OutOfRange(reason="HISTORY_TRIMMED") if self._token:
                self._token = ""
                return 0.0
            case Unavailable() | DeadlineExceeded():
                self._failures += 1
                pause = pause_s(error, self._failures, self._caller.retry)
                if asyncio.get_running_loop().time() + pause < self._alive_at + self._caller.retry.watch_patience_s:
                    return pause
        raise error
