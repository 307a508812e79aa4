"""ChannelConfigurationService: convert in, call, convert out."""

from __future__ import annotations

from typing import Any

import grpc

from clarion.v1 import channel_configuration_service_pb2 as pb
from clarion.v1 import channel_configuration_service_pb2_grpc
from clarion_core.domain.errors import FieldProblem, InvalidRequest
from clarion_server.configuring import PATH, Configuring
from clarion_server.convert_configuration import from_configuration, from_finding, to_configuration
from clarion_server.edge import workspace
from clarion_server.names import configuration_id
from clarion_server.paging import fitting, make_token, page_size, read_token

Context = grpc.aio.ServicerContext[Any, Any]


class ChannelConfigurationService(channel_configuration_service_pb2_grpc.ChannelConfigurationServiceServicer):
    """Keeps channel configurations."""

    def __init__(self, configuring: Configuring) -> None:
        self._configuring = configuring

    async def CreateChannelConfiguration(
        self, request: pb.CreateChannelConfigurationRequest, _: Context
    ) -> pb.CreateChannelConfigurationResponse:
        """Store a new configuration."""
        proto = request.channel_configuration
        if not proto.channel:
            description = "is required: email, sms, push or webhook"
            raise InvalidRequest.of([FieldProblem(path=f"{PATH}.channel", description=description)])
        found, replayed = await self._configuring.create(
            to_configuration(proto, workspace(), request.channel_configuration_id),
            request.request_id,
            validate_only=request.validate_only,
        )
        return pb.CreateChannelConfigurationResponse(channel_configuration=from_configuration(found), replayed=replayed)

    async def GetChannelConfiguration(
        self, request: pb.GetChannelConfigurationRequest, _: Context
    ) -> pb.GetChannelConfigurationResponse:
        """Read one."""
        found = await self._configuring.get(workspace(), configuration_id(request.name), request.version)
        return pb.GetChannelConfigurationResponse(channel_configuration=from_configuration(found))

    async def ListChannelConfigurations(
        self, request: pb.ListChannelConfigurationsRequest, _: Context
    ) -> pb.ListChannelConfigurationsResponse:
        """Page through the workspace's configurations."""
        bound = ("channel_configurations", workspace())
        position = read_token(request.page_token, tuple[str], *bound)
        found, last = await self._configuring.page(
            workspace(), position[0] if position else "", page_size(request.page_size)
        )
        shown = fitting([from_configuration(each) for each in found])
        if len(shown) < len(found):
            last = found[len(shown) - 1].id
        return pb.ListChannelConfigurationsResponse(
            channel_configurations=shown, next_page_token=make_token((last,), *bound) if last else ""
        )

    async def UpdateChannelConfiguration(
        self, request: pb.UpdateChannelConfigurationRequest, _: Context
    ) -> pb.UpdateChannelConfigurationResponse:
        """Replace what one says."""
        proto = request.channel_configuration
        found, replayed = await self._configuring.update(
            to_configuration(proto, workspace(), configuration_id(proto.name)),
            request.etag,
            request.request_id,
            channel_given=bool(proto.channel),
            validate_only=request.validate_only,
        )
        return pb.UpdateChannelConfigurationResponse(channel_configuration=from_configuration(found), replayed=replayed)

    async def DeleteChannelConfiguration(
        self, request: pb.DeleteChannelConfigurationRequest, _: Context
    ) -> pb.DeleteChannelConfigurationResponse:
        """Remove one that is not in use."""
        replayed = await self._configuring.delete(
            workspace(), configuration_id(request.name), request.etag, request.request_id
        )
        return pb.DeleteChannelConfigurationResponse(replayed=replayed)

    async def TestChannelConfiguration(
        self, request: pb.TestChannelConfigurationRequest, _: Context
    ) -> pb.TestChannelConfigurationResponse:
        """Have a worker connect to the providers."""
        worker, findings = await self._configuring.test(workspace(), configuration_id(request.name))
        return pb.TestChannelConfigurationResponse(
            worker=f"workers/{worker}", findings=[from_finding(each) for each in findings]
        )
