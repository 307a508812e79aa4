"""The channel configurations of a worker, as routers: one for each configuration and medium it has providers for.

Configurations of the store are followed as they change; those of the worker's file and settings hold for all
workspaces, under the name of their channel, where the store has none of that name.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from clarion_core import logs
from clarion_core.configuration import document, file
from clarion_core.configuration.channels import SETTINGS_ALONE, ChannelPart
from clarion_core.domain.configuration import Configuration
from clarion_core.domain.errors import ClarionError
from clarion_core.domain.medium import Channel, Medium, media_of
from clarion_core.settings import WorkerSettings, variable
from clarion_core.store.breakers import Breakers
from clarion_core.store.configurations import Configurations
from clarion_core.store.store import Store
from clarion_workers.channels.email import EmailChannel, from_settings
from clarion_workers.channels.email.copies import Copying
from clarion_workers.channels.kind import Opening
from clarion_workers.channels.registry import PROVIDERS
from clarion_workers.channels.sms.inbound import Hears
from clarion_workers.providers import Router

FOLLOW_S = 0.5
"""A change is in force after this long at the latest."""

log = logs.get(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A configuration's routers by medium, and the version that they are of; 0: the worker's own."""

    version: int
    routers: Mapping[Medium, Router]
    part: ChannelPart | None = None


class Routers:
    """Finds the router of a medium and a configuration, `workspace/configuration`.

    `own` are the worker's configurations, by the channel they are called like.
    """

    def __init__(self, own: Mapping[str, Opened]) -> None:
        self._own = own
        self._kept: dict[str, Opened] = {}
        self._used: dict[int, int] = {}  # how many use a router, by its id
        self._retired: list[Router] = []

    def find(self, configuration: str) -> Opened | None:
        """What is opened of a configuration; None where nobody has one of this name."""
        return self._kept.get(configuration) or self._own.get(configuration.partition("/")[2])

    @asynccontextmanager
    async def use(self, medium: Medium, configuration: str) -> AsyncIterator[Router | None]:
        """The router to use now, kept open for as long; None where nothing is configured for the medium."""
        opened = self.find(configuration)
        router = opened.routers.get(medium) if opened else None
        if router is None:
            yield None
            return
        self._used[id(router)] = self._used.get(id(router), 0) + 1
        try:
            yield router
        finally:
            self._used[id(router)] -= 1
            await self._close_unused()

    @property
    def media(self) -> set[Medium]:
        """What something is configured for."""
        return {medium for opened in (*self._own.values(), *self._kept.values()) for medium in opened.routers}

    def version(self, key: str) -> int:
        """The version of a kept configuration that is in use; 0: none."""
        return self._kept[key].version if key in self._kept else 0

    async def put(self, key: str, opened: Opened | None) -> None:
        """Use this from now on; None: no longer. What is being sent goes on with what it began with."""
        before = self._kept.pop(key, None)
        if opened:
            self._kept[key] = opened
            await _listen(opened)
        if before:
            self._retired += before.routers.values()
        await self._close_unused()

    async def listen(self) -> None:
        """Have the channels listen that bring something, whether or not anything is sent."""
        for opened in self._own.values():
            await _listen(opened)

    @property
    def kept(self) -> set[str]:
        """The configurations of the store that are in use."""
        return set(self._kept)

    async def close(self) -> None:
        """Close the channels of all providers."""
        every = [router for opened in (*self._own.values(), *self._kept.values()) for router in opened.routers.values()]
        await asyncio.gather(*(router.close() for router in (*every, *self._retired)))

    async def _close_unused(self) -> None:
        if not self._retired:
            return
        unused = [router for router in self._retired if not self._used.get(id(router))]
        self._retired = [router for router in self._retired if router not in unused]
        for router in unused:
            self._used.pop(id(router), None)
            await router.close()


async def _listen(opened: Opened) -> None:
    for router in opened.routers.values():
        await router.listen()


class Opener:
    """Opens configurations: finds what they refer to, and makes channels to their providers.

    `hears` takes in what their connections bring, `copies` counts copies of e-mails by how they ended.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        store: Store,
        hears: Hears | None = None,
        copies: Counter[str] | None = None,
    ) -> None:
        self._settings, self._store, self._hears = settings, store, hears
        self._copies = Counter[str]() if copies is None else copies

    def own(self) -> dict[str, Opened]:
        """The channels as the worker's file describes them; e-mail, where it does not, as its settings do.

        `ChannelsInvalid` where the file does not fit.
        """
        settings = self._settings
        channels = file.read(settings.channels, os.environ) if settings.channels else None
        found = {}
        for channel in Channel:
            part: ChannelPart | None = getattr(channels, channel.value, None)
            if part is not None:
                found[channel.value] = Opened(version=0, routers=self._routers(part, ""), part=part)
        if Channel.EMAIL.value not in found:
            found[Channel.EMAIL.value] = Opened(version=0, routers={Medium.EMAIL: self._by_settings()})
        else:
            for name in [name for name in sorted(settings.model_fields_set) if name.startswith("smtp_")]:
                log.warning("setting_unused", name=variable(name), because=variable("channels"))
        return found

    def open(self, configuration: Configuration) -> Opened:
        """A configuration of the store. `SettingsInvalid` where what it refers to is not here."""
        part = document.resolve(
            configuration.channel,
            configuration.settings,
            environment=os.environ,
            directory=self._settings.secrets_dir,
        )
        return Opened(version=configuration.version, routers=self._routers(part, configuration.key), part=part)

    def _routers(self, part: ChannelPart, scope: str) -> dict[Medium, Router]:
        """For each medium that there are providers for; what is learnt of them is kept under the scope."""
        found = {}
        for medium in media_of(Channel(part.CHANNEL)):
            if providers := part.of_medium(medium):
                channels = {
                    each.name: PROVIDERS[each.kind].open(each.settings, self._opening(part, each.name))
                    for each in providers
                }
                configuration = replace(part.configuration(medium), scope=scope)
                found[medium] = Router(configuration, channels, Breakers(self._store, channel=scope or part.CHANNEL))
        return found

    def _opening(self, part: ChannelPart, provider: str) -> Opening:
        return Opening(
            environment=os.environ,
            message_id_domain=self._settings.message_id_domain,
            channel=part,
            provider=provider,
            hears=self._hears,
            copies=self._copies,
        )

    def _by_settings(self) -> Router:
        [alone] = SETTINGS_ALONE.providers
        channels = {alone.name: Copying(EmailChannel(from_settings(self._settings)), self._copies)}
        return Router(SETTINGS_ALONE, channels, Breakers(self._store, channel="email"))


class Follower:
    """Has a worker follow the store's configurations. Where one can't be opened, the version before stays in use."""

    def __init__(self, configurations: Configurations, opener: Opener, routers: Routers) -> None:
        self._configurations, self._opener, self._routers = configurations, opener, routers
        self._seen = -1
        self._failed: dict[str, tuple[int, str]] = {}  # versions that could not be opened, and why; said once

    async def follow(self) -> bool:
        """Look whether something changed, and use it; True where it did."""
        changes = await self._configurations.changes()
        if changes == self._seen:
            return False
        found = {configuration.key: configuration for configuration in await self._configurations.all()}
        for key in self._routers.kept - found.keys():
            await self._routers.put(key, None)
            log.info("configuration_gone", configuration=key)
        for key, configuration in found.items():
            if configuration.version not in (self._routers.version(key), self._failed.get(key, (0, ""))[0]):
                await self._open(key, configuration)
        self._seen = changes
        return True

    async def _open(self, key: str, configuration: Configuration) -> None:
        try:
            opened = self._opener.open(configuration)
        except (document.SettingsInvalid, OSError, KeyError, ValueError) as error:
            why = str(error) if isinstance(error, document.SettingsInvalid) else type(error).__name__
            self._failed[key] = configuration.version, why
            log.error("configuration_not_opened", configuration=key, version=configuration.version, why=why)
            return
        self._failed.pop(key, None)
        await self._routers.put(key, opened)
        log.info("configuration_opened", configuration=key, version=configuration.version)

    def failed(self, key: str) -> str | None:
        """Why this worker could not open the newest version of a configuration; None where it did."""
        return self._failed[key][1] if key in self._failed else None

    async def keep(self, changed: asyncio.Event) -> None:
        """Follow until cancelled; `changed` is set after each change."""
        while True:
            try:
                if await self.follow():
                    changed.set()
            except ClarionError as error:
                log.debug("configurations_not_followed", reason=error.reason)
            await asyncio.sleep(FOLLOW_S)
