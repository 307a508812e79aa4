"""The channel configurations of a worker, as routers: one for each configuration and medium it has providers for.

Configurations of the store are followed as they change; those of the worker's file and settings hold for all
workspaces, under the name of their channel, where the store has none of that name.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from clarion_core import logs
from clarion_core.configuration import document, file
from clarion_core.configuration.channels import SETTINGS_ALONE, ChannelPart, ProviderPart, SmsPart
from clarion_core.domain.configuration import Configuration
from clarion_core.domain.medium import Channel, Medium, media_of
from clarion_core.environment import variable
from clarion_core.settings import WorkerSettings
from clarion_core.store.breakers import Breakers
from clarion_core.store.store import Store
from clarion_core.store.suppressions import Suppressions
from clarion_workers.channels import Channel as ProviderChannel
from clarion_workers.channels.email import EmailChannel, from_settings
from clarion_workers.channels.email.copies import Copying
from clarion_workers.channels.kind import Opening
from clarion_workers.channels.registry import PROVIDERS
from clarion_workers.channels.sms.inbound import Hears
from clarion_workers.may_receive import lookup
from clarion_workers.providers import Router

log = logs.get(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A configuration's routers by medium, and the version that they are of; 0: the worker's own.

    Without routers, nothing can be sent by it for now. `create_ms` tells one from another that had its name before.
    """

    version: int
    routers: Mapping[Medium, Router]
    part: ChannelPart | None = None
    create_ms: int = 0

    def is_of(self, configuration: Configuration) -> bool:
        """Whether it is this version of this configuration."""
        return (self.version, self.create_ms) == (configuration.version, configuration.create_ms)


class Routers:
    """Finds the router of a medium and a configuration, `workspace/configuration`.

    `own` are the worker's configurations, by the channel they are called like.
    """

    def __init__(self, own: Mapping[str, Opened]) -> None:
        self._own = own
        self._kept: dict[str, Opened] = {}
        self._used: dict[int, int] = {}  # how many use a router, by its id
        self._retired: list[Router] = []
        self._closing: set[asyncio.Task[None]] = set()

    def find(self, configuration: str) -> Opened | None:
        """What is opened of a configuration; None where nobody has one of this name."""
        return self._kept.get(configuration) or self._own.get(configuration.partition("/")[2])

    def kept(self, key: str) -> Opened | None:
        """What is in use of a configuration of the store."""
        return self._kept.get(key)

    @property
    def keys(self) -> set[str]:
        """The configurations of the store that are in use."""
        return set(self._kept)

    @property
    def media(self) -> set[Medium]:
        """What something is configured for."""
        return {medium for opened in (*self._own.values(), *self._kept.values()) for medium in opened.routers}

    def serves(self, medium: Medium, configuration: str) -> bool:
        """Whether there is a router of a medium and a configuration."""
        opened = self.find(configuration)
        return opened is not None and medium in opened.routers

    @contextmanager
    def use(self, medium: Medium, configuration: str) -> Iterator[Router | None]:
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
            self._close_unused()

    async def put(self, key: str, opened: Opened | None) -> None:
        """Use this from now on; None: no longer. What is being sent goes on with what it began with."""
        before = self._kept.pop(key, None)
        if opened:
            self._kept[key] = opened
        if before:
            self._retired += before.routers.values()
        self._close_unused()
        if opened:
            await _listen(opened)

    async def listen(self) -> None:
        """Have the channels listen that bring something, whether or not anything is sent."""
        for opened in self._own.values():
            await _listen(opened)

    async def close(self) -> None:
        """Close the channels of all providers."""
        self._retired += [
            router for opened in (*self._own.values(), *self._kept.values()) for router in opened.routers.values()
        ]
        self._used.clear()
        self._close_unused()
        await asyncio.gather(*self._closing)

    def _close_unused(self) -> None:
        """Close what is retired, once nobody uses it; nobody waits for that, since a slow provider takes seconds."""
        unused = [router for router in self._retired if not self._used.get(id(router))]
        for router in unused:
            self._retired.remove(router)
            self._used.pop(id(router), None)
            task = asyncio.create_task(_close(router))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def _listen(opened: Opened) -> None:
    for router in opened.routers.values():
        await router.listen()


async def _close(router: Router) -> None:
    try:
        await router.close()
    except Exception:  # it is of no use to anybody any more
        log.exception("router_not_closed", channel=router.configuration.channel)


class NotOpened(Exception):
    """A configuration can't be opened here: in words, without a secret."""


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
        self._lookup = lookup(Suppressions(store))

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
        """A configuration of the store. `NotOpened`. It reads files and parses keys: no work for the event loop."""
        try:
            part = document.resolve(
                configuration.channel,
                configuration.settings,
                environment=os.environ,
                directory=self._settings.secrets_dir,
            )
        except document.SettingsInvalid as error:
            raise NotOpened(str(error)) from None
        if isinstance(part, SmsPart):  # what people answer concerns nobody but the workspace that it is of
            part = part.model_copy(update={"workspaces": [configuration.workspace]})
        return Opened(
            version=configuration.version,
            create_ms=configuration.create_ms,
            routers=self._routers(part, configuration.key),
            part=part,
        )

    def _routers(self, part: ChannelPart, scope: str) -> dict[Medium, Router]:
        """For each medium that there are providers for; what is learnt of them is kept under the scope."""
        found = {}
        for medium in media_of(Channel(part.CHANNEL)):
            if providers := part.of_medium(medium):
                channels = {each.name: self._channel(part, each, scope) for each in providers}
                configuration = replace(part.configuration(medium), scope=scope)
                found[medium] = Router(configuration, channels, Breakers(self._store, channel=scope or part.CHANNEL))
        return found

    def _channel(self, part: ChannelPart, provider: ProviderPart, scope: str) -> ProviderChannel[Any]:
        opening = Opening(
            environment=os.environ,
            message_id_domain=self._settings.message_id_domain,
            channel=part,
            provider=provider.name,
            scope=scope,
            hears=self._hears,
            copies=self._copies,
            lookup=self._lookup,
        )
        try:
            return PROVIDERS[provider.kind].open(provider.settings, opening)
        except Exception as error:  # whatever it met; its own words may hold something of a secret
            raise NotOpened(f"providers: {provider.name} can't be opened: {type(error).__name__}") from None

    def _by_settings(self) -> Router:
        [alone] = SETTINGS_ALONE.providers
        channels = {alone.name: Copying(EmailChannel(from_settings(self._settings)), self._copies, self._lookup)}
        return Router(SETTINGS_ALONE, channels, Breakers(self._store, channel="email"))
