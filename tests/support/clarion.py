"""Clarion in the test's own process: a real gRPC server, real workers, a real SMTP peer, all on free ports."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import grpc

from clarion.v1 import (
    campaign_pb2,
    campaign_service_pb2,
    campaign_service_pb2_grpc,
    channel_configuration_service_pb2_grpc,
    delivery_service_pb2_grpc,
    suppression_service_pb2_grpc,
    trigger_pb2,
    trigger_service_pb2,
    trigger_service_pb2_grpc,
    worker_service_pb2_grpc,
)
from clarion_core.settings import ServerSettings, WorkerSettings
from clarion_server.app import Server
from clarion_server.configuring import TEST_S
from clarion_server.watch import HEARTBEAT_S
from clarion_workers.app import PostRoom

CAMPAIGN = "campaigns/welcome"


class Clarion:
    """A running server with stubs; workers and more servers on request."""

    def __init__(self, redis_url: str) -> None:
        self.redis_url = redis_url
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Clarion:
        self.server = await self.serve()
        channel = await self.channel(self.server)
        self.campaigns = campaign_service_pb2_grpc.CampaignServiceStub(channel)
        self.triggers = trigger_service_pb2_grpc.TriggerServiceStub(channel)
        self.workers = worker_service_pb2_grpc.WorkerServiceStub(channel)
        self.suppressions = suppression_service_pb2_grpc.SuppressionServiceStub(channel)
        self.configurations = channel_configuration_service_pb2_grpc.ChannelConfigurationServiceStub(channel)
        self.deliveries = delivery_service_pb2_grpc.DeliveryServiceStub(channel)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.aclose()

    @property
    def target(self) -> str:
        """Where the server listens."""
        return f"127.0.0.1:{self.server.port}"

    async def serve(self, *, heartbeat_s: float = HEARTBEAT_S, test_s: float = TEST_S, **settings: Any) -> Server:
        """One more server on the same store."""
        values = {"redis_url": self.redis_url, "listen": "127.0.0.1:0", "metrics": "off", "drain_s": 5.0} | settings
        server = Server(ServerSettings(**values), heartbeat_s=heartbeat_s, test_s=test_s)
        await server.start()
        self._stack.push_async_callback(server.stop)
        return server

    async def channel(self, server: Server) -> grpc.aio.Channel:
        """A channel to a server."""
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")
        self._stack.push_async_callback(channel.close)
        return channel

    async def work(self, smtp_port: int, **settings: Any) -> PostRoom:
        """A worker that sends to this port."""
        values = {"redis_url": self.redis_url, "smtp_port": smtp_port, "smtp_timeout_s": 5.0, "sweep_s": 0.2} | settings
        worker = PostRoom(WorkerSettings(**values))
        await worker.start()
        self._stack.push_async_callback(worker.stop)
        return worker

    async def live_campaign(self, campaign_id: str = "welcome", **fields: Any) -> campaign_pb2.Campaign:
        """A campaign that accepts triggers."""
        create = campaign_service_pb2.CreateCampaignRequest(campaign_id=campaign_id, campaign=a_campaign(**fields))
        await self.campaigns.CreateCampaign(create)
        activate = campaign_service_pb2.ActivateCampaignRequest(name=f"campaigns/{campaign_id}")
        return (await self.campaigns.ActivateCampaign(activate)).campaign

    async def trigger(self, count: int = 1, **fields: Any) -> trigger_pb2.Trigger:
        """A trigger for this many recipients, accepted."""
        return (await self.triggers.CreateTrigger(a_trigger(count, **fields))).trigger

    async def finished(self, name: str) -> trigger_pb2.Trigger:
        """The trigger once every recipient is accounted for."""
        async for _ in self.triggers.WatchTrigger(trigger_service_pb2.WatchTriggerRequest(name=name)):
            continue
        return (await self.triggers.GetTrigger(trigger_service_pb2.GetTriggerRequest(name=name))).trigger


def an_email(**fields: Any) -> campaign_pb2.Content:
    """Content of an e-mail; `sender` is its from."""
    values = {
        "from": fields.pop("sender", "Shop <shop@example.com>"),
        "subject": "Hello {{ recipient.user_id }}",
        "text": "Welcome, {{ recipient.user_id }}.",
        **fields,
    }
    return campaign_pb2.Content(email=campaign_pb2.EmailContent(**values))


def a_campaign(**fields: Any) -> campaign_pb2.Campaign:
    """A campaign that says hello and declares nothing, but for the given fields."""
    return campaign_pb2.Campaign(**({"contents": [an_email()]} | fields))


def a_recipient(index: int = 0, **fields: Any) -> trigger_pb2.Recipient:
    """The `index`-th recipient, with an address of its own."""
    values = {"user_id": f"user-{index}", "addresses": {"email": f"user-{index}@example.com"}} | fields
    return trigger_pb2.Recipient(**values)


def a_trigger(count: int = 1, **fields: Any) -> trigger_service_pb2.CreateTriggerRequest:
    """A request for this many recipients."""
    values = {"campaign": CAMPAIGN, "recipients": [a_recipient(index) for index in range(count)]} | fields
    return trigger_service_pb2.CreateTriggerRequest(**values)
