"""The channel configurations of a worker, as routers: one for each configuration and medium it has providers for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace

from clarion_core import logs
from clarion_core.configuration import file
from clarion_core.configuration.channels import SETTINGS_ALONE, ChannelPart
from clarion_core.domain.medium import Channel, Medium, media_of
from clarion_core.settings import WorkerSettings, variable
from clarion_core.store.breakers import Breakers
from clarion_core.store.store import Store
from clarion_workers.channels.email import EmailChannel, from_settings
from clarion_workers.channels.kind import Opening
from clarion_workers.channels.registry import PROVIDERS
from clarion_workers.channels.sms.inbound import Hears
from clarion_workers.providers import Router

log = logs.get(__name__)

Key = tuple[Medium, str]


class Routers:
    """Finds the router of a medium and a channel configuration."""

    def __init__(self, routers: Mapping[Key, Router]) -> None:
        self._routers = dict(routers)

    def get(self, medium: Medium, configuration: str) -> Router | None:
        """The router to use now; None where nothing is configured under that name for the medium."""
        return self._routers.get((medium, configuration))

    @property
    def media(self) -> set[Medium]:
        """What something is configured for."""
        return {medium for medium, _ in self._routers}

    async def listen(self) -> None:
        """Have all channels that can bring something connect, and stay connected."""
        for router in self._routers.values():
            await router.listen()

    async def close(self) -> None:
        """Close the channels of all providers."""
        await asyncio.gather(*(router.close() for router in self._routers.values()))


def configured(settings: WorkerSettings, store: Store, hears: Hears | None = None) -> Routers:
    """The channels as the file describes them; e-mail, where it does not, as the CLARION_SMTP_* settings do.

    `hears` takes in what their connections bring. `ChannelsInvalid` where the file does not fit.
    """
    channels = file.read(settings.channels, os.environ) if settings.channels else None
    routers: dict[Key, Router] = {}
    for channel in Channel:
        part = getattr(channels, channel.value, None)
        if part is not None:
            routers |= {(medium, channel.value): each for medium, each in _opened(part, settings, store, hears).items()}
    if (Medium.EMAIL, Channel.EMAIL.value) not in routers:
        routers[Medium.EMAIL, Channel.EMAIL.value] = _by_settings(settings, store)
    elif unused := [name for name in sorted(settings.model_fields_set) if name.startswith("smtp_")]:
        for name in unused:
            log.warning("setting_unused", name=variable(name), because=variable("channels"))
    return Routers(routers)


def _opened(part: ChannelPart, settings: WorkerSettings, store: Store, hears: Hears | None) -> dict[Medium, Router]:
    """A configuration's routers, for each medium that it has providers for."""
    opening = Opening(environment=os.environ, message_id_domain=settings.message_id_domain, channel=part, hears=hears)
    found = {}
    for medium in media_of(Channel(part.CHANNEL)):
        providers = part.of_medium(medium)
        if providers:
            channels = {
                each.name: PROVIDERS[each.kind].open(each.settings, replace(opening, provider=each.name))
                for each in providers
            }
            found[medium] = Router(part.configuration(medium), channels, Breakers(store, channel=part.CHANNEL))
    return found


def _by_settings(settings: WorkerSettings, store: Store) -> Router:
    [alone] = SETTINGS_ALONE.providers
    return Router(SETTINGS_ALONE, {alone.name: EmailChannel(from_settings(settings))}, Breakers(store, channel="email"))
