"""ChannelConfigurationService, one method per RPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import grpc.aio

from clarion.v1.channel_configuration_pb2 import ChannelConfiguration
from clarion.v1.channel_configuration_service_pb2 import (
    CreateChannelConfigurationRequest,
    DeleteChannelConfigurationRequest,
    GetChannelConfigurationRequest,
    ListChannelConfigurationsRequest,
    TestChannelConfigurationRequest,
    TestChannelConfigurationResponse,
    UpdateChannelConfigurationRequest,
)
from clarion.v1.channel_configuration_service_pb2_grpc import ChannelConfigurationServiceStub
from clarion_client.connection import Caller
from clarion_client.names import configuration_name
from clarion_client.paging import all_pages
from clarion_client.values import new_request_id

if TYPE_CHECKING:  # the generated module has the name for type checkers alone
    from clarion.v1.channel_configuration_service_pb2_grpc import ChannelConfigurationServiceAsyncStub

TEST_TIMEOUT_S = 31.0
"""A server waits 30 seconds for a worker: it answers within this, and is not asked again."""


class ChannelConfigurationCalls:
    """Channel configurations: keep them, look back at their versions, test them.

    One is named in full or in short: `channelConfigurations/orders-sms` or `orders-sms`. `request_id`, `etag` and
    `timeout_s` are as for campaigns.
    """

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._configurations: ChannelConfigurationServiceAsyncStub = ChannelConfigurationServiceStub(channel)
        self._caller = caller

    async def create_channel_configuration(
        self,
        configuration_id: str,
        configuration: ChannelConfiguration,
        *,
        request_id: str = "",
        validate_only: bool = False,
        timeout_s: float | None = None,
    ) -> ChannelConfiguration:
        """Store a new one. AlreadyExists, InvalidArgument with the path of each problem."""
        request = CreateChannelConfigurationRequest(
            channel_configuration_id=configuration_id,
            channel_configuration=configuration,
            request_id=request_id or new_request_id(),
            validate_only=validate_only,
        )
        answer = await self._caller.call(self._configurations.CreateChannelConfiguration, request, timeout_s)
        return answer.channel_configuration

    async def get_channel_configuration(
        self, name: str, *, version: int = 0, timeout_s: float | None = None
    ) -> ChannelConfiguration:
        """One as it is, or as it was in an earlier version. NotFound."""
        request = GetChannelConfigurationRequest(name=configuration_name(name), version=version)
        answer = await self._caller.call(self._configurations.GetChannelConfiguration, request, timeout_s)
        return answer.channel_configuration

    def list_channel_configurations(
        self, *, page_size: int = 0, timeout_s: float | None = None
    ) -> AsyncIterator[ChannelConfiguration]:
        """Every one of the workspace in the order of their names. The limit holds for a page."""
        return all_pages(
            lambda token: self._caller.call(
                self._configurations.ListChannelConfigurations,
                ListChannelConfigurationsRequest(page_size=page_size, page_token=token),
                timeout_s,
            ),
            lambda page: page.channel_configurations,
        )

    async def update_channel_configuration(
        self,
        configuration: ChannelConfiguration,
        *,
        etag: str = "",
        request_id: str = "",
        validate_only: bool = False,
        timeout_s: float | None = None,
    ) -> ChannelConfiguration:
        """Replace what one says; `configuration.name` says which. No difference: no new version. NotFound, Aborted."""
        request = UpdateChannelConfigurationRequest(
            channel_configuration=configuration,
            etag=etag,
            request_id=request_id or new_request_id(),
            validate_only=validate_only,
        )
        answer = await self._caller.call(self._configurations.UpdateChannelConfiguration, request, timeout_s)
        return answer.channel_configuration

    async def delete_channel_configuration(
        self, name: str, *, etag: str = "", request_id: str = "", timeout_s: float | None = None
    ) -> None:
        """Remove one that no campaign names any more, but for stopped ones. NotFound, FailedPrecondition."""
        request = DeleteChannelConfigurationRequest(
            name=configuration_name(name), etag=etag, request_id=request_id or new_request_id()
        )
        await self._caller.call(self._configurations.DeleteChannelConfiguration, request, timeout_s)

    async def test_channel_configuration(
        self, name: str, *, timeout_s: float = TEST_TIMEOUT_S
    ) -> TestChannelConfigurationResponse:
        """Have a worker look at each provider; no message leaves. NotFound, Unavailable where no worker answers."""
        request = TestChannelConfigurationRequest(name=configuration_name(name))
        return await self._caller.call(self._configurations.TestChannelConfiguration, request, timeout_s)
