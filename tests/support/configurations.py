"""Channel configurations as tests keep them: what they say, and the calls that keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clarion.v1 import channel_configuration_pb2
from clarion.v1 import channel_configuration_service_pb2 as pb
from clarion_core.domain.configuration import Configuration
from clarion_core.domain.medium import Channel
from clarion_core.store.campaigns import RequestKey
from clarion_core.store.configurations import Configurations
from clarion_server.values import to_struct
from support.clarion import Clarion

Proto = channel_configuration_pb2.ChannelConfiguration


def smtp(port: int, name: str = "main", **settings: Any) -> dict[str, Any]:
    """Settings of e-mail through one server on this machine."""
    return {"providers": [{"name": name, "smtp": {"host": "127.0.0.1", "port": port, "timeout_s": 5} | settings}]}


class Keeping:
    """Keeps configurations of a Clarion, in one workspace."""

    def __init__(self, clarion: Clarion, workspace: str = "default") -> None:
        self._service = clarion.configurations
        self._metadata = [("x-clarion-workspace", workspace)]

    async def create(self, name: str, settings: Mapping[str, Any], channel: str = "email") -> Proto:
        """Store a new one."""
        proto = Proto(channel=channel, settings=to_struct(settings))
        request = pb.CreateChannelConfigurationRequest(channel_configuration_id=name, channel_configuration=proto)
        made = await self._service.CreateChannelConfiguration(request, metadata=self._metadata)
        return made.channel_configuration  # type: ignore[no-any-return]

    async def update(self, name: str, settings: Mapping[str, Any]) -> Proto:
        """Replace what one says."""
        proto = Proto(name=f"channelConfigurations/{name}", settings=to_struct(settings))
        request = pb.UpdateChannelConfigurationRequest(channel_configuration=proto)
        made = await self._service.UpdateChannelConfiguration(request, metadata=self._metadata)
        return made.channel_configuration  # type: ignore[no-any-return]

    async def delete(self, name: str) -> None:
        """Remove one."""
        request = pb.DeleteChannelConfigurationRequest(name=f"channelConfigurations/{name}")
        await self._service.DeleteChannelConfiguration(request, metadata=self._metadata)

    async def test(self, name: str) -> pb.TestChannelConfigurationResponse:
        """Have a worker look at its providers; by then it follows what was changed before."""
        request = pb.TestChannelConfigurationRequest(name=f"channelConfigurations/{name}")
        return await self._service.TestChannelConfiguration(request, metadata=self._metadata)  # type: ignore[no-any-return]


class Kept:
    """Keeps configurations in a store, without a server and its checks."""

    def __init__(self, configurations: Configurations) -> None:
        self._configurations = configurations
        self._requests = 0

    def request(self) -> RequestKey:
        """One that was not used before."""
        self._requests += 1
        return RequestKey(id=f"configured-{self._requests}", fingerprint=str(self._requests))

    async def put(
        self, name: str, settings: Mapping[str, Any], workspace: str = "default", channel: Channel = Channel.EMAIL
    ) -> Configuration:
        """Store the next version."""
        slot = await self._configurations.read(workspace, name)
        made = Configuration(
            workspace=workspace,
            id=name,
            channel=channel,
            settings=settings,
            version=slot.version + 1,
            create_ms=slot.configuration.create_ms if slot.configuration else slot.now_ms,
            update_ms=slot.now_ms,
        )
        await self._configurations.put(made, slot, self.request())
        return made

    async def delete(self, name: str, workspace: str = "default") -> None:
        """Remove it."""
        slot = await self._configurations.read(workspace, name)
        assert slot.configuration
        await self._configurations.delete(slot.configuration, self.request())
