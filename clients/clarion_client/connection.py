"""One place where a channel is opened, and one where a call is made."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from clarion_client.errors import ClarionError, from_rpc_error
from clarion_client.retry import RetryConfig, is_repeatable, pause_s

DEFAULT_SERVER = "127.0.0.1:7171"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""A trigger is at most 4 MiB, a campaign 4 and its files, which are 10 at most."""

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # Finds a dead peer under a running call; servers refuse pings more often than once a minute or so.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # A server that was restarted is found within a second or two, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Despite its name this is how long one connection attempt may take.
    ("grpc.min_reconnect_backoff_ms", 5_000),
)

RequestT = TypeVar("RequestT", bound=Message)
AnswerT = TypeVar("AnswerT", bound=Message)
Metadata = tuple[tuple[str, str], ...]


def default_server() -> str:
    """`CLARION_SERVER`, or the loopback address where a server listens unless told otherwise."""
    return os.environ.get("CLARION_SERVER") or DEFAULT_SERVER


def open_channel(target: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    """A channel to `host:port`, in the clear without credentials. Nothing is sent before the first call."""
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(target, credentials, options=CHANNEL_OPTIONS)


class Caller:
    """Makes calls: workspace metadata, a deadline, repeats, typed errors."""

    def __init__(self, *, workspace: str, timeout_s: float, retry: RetryConfig) -> None:
        self.metadata: Metadata = (("x-clarion-workspace", workspace),)
        self.timeout_s = timeout_s
        self.retry = retry

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[RequestT, AnswerT],
        request: RequestT,
        timeout_s: float | None = None,
    ) -> AnswerT:
        """The answer, or a ClarionError. All tries and pauses together take at most `timeout_s`."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + (self.timeout_s if timeout_s is None else timeout_s)
        attempt = 0
        while True:
            attempt += 1
            try:
                return await method(request, timeout=max(0.0, deadline - clock()), metadata=self.metadata)
            except grpc.aio.AioRpcError as error:
                problem = from_rpc_error(error)
            await asyncio.sleep(self._pause_or_raise(problem, attempt, deadline, clock))

    def _pause_or_raise(
        self, problem: ClarionError, attempt: int, deadline: float, clock: Callable[[], float]
    ) -> float:
        pause = pause_s(problem, attempt, self.retry)
        hopeless = attempt >= self.retry.max_attempts or clock() + pause >= deadline
        if hopeless or not is_repeatable(problem, self.retry):
            raise problem
        return pause
