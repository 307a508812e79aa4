"""The client: every RPC of the contract as an async method."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio

from clarion_client.campaigns import CampaignCalls
from clarion_client.channel_configurations import ChannelConfigurationCalls
from clarion_client.connection import Caller, default_server, open_channel
from clarion_client.dead_letters import DeadLetterCalls
from clarion_client.deliveries import DeliveryCalls
from clarion_client.retry import RetryConfig
from clarion_client.suppressions import SuppressionCalls
from clarion_client.triggers import TriggerCalls
from clarion_client.workers import WorkerCalls


class Clarion(
    CampaignCalls,
    TriggerCalls,
    DeliveryCalls,
    DeadLetterCalls,
    WorkerCalls,
    SuppressionCalls,
    ChannelConfigurationCalls,
):
    """One workspace of one server. Made by `connect`; safe to share between tasks of one event loop.

    Every method has a time limit, repeats what is safe to repeat, and raises a ClarionError.
    """

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        CampaignCalls.__init__(self, channel, caller)
        TriggerCalls.__init__(self, channel, caller)
        DeliveryCalls.__init__(self, channel, caller)
        DeadLetterCalls.__init__(self, channel, caller)
        WorkerCalls.__init__(self, channel, caller)
        SuppressionCalls.__init__(self, channel, caller)
        ChannelConfigurationCalls.__init__(self, channel, caller)


@asynccontextmanager
async def connect(
    target: str | None = None,
    *,
    workspace: str = "default",
    timeout_s: float = 10.0,
    retry: RetryConfig | None = None,
    credentials: grpc.ChannelCredentials | None = None,
) -> AsyncIterator[Clarion]:
    """A client for the server at `host:port`: `target`, else CLARION_SERVER, else 127.0.0.1:7171.

    Connecting happens with the first call, so a server that is away is that call's Unavailable. `timeout_s` bounds
    each call with all its repeats. Without `credentials` the connection is in the clear.
    """
    async with open_channel(target or default_server(), credentials) as channel:
        yield Clarion(channel, Caller(workspace=workspace, timeout_s=timeout_s, retry=retry or RetryConfig()))
