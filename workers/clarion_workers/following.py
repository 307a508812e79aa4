"""Following the channel configurations of the store: each change is opened and used, without a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

from clarion_core import logs
from clarion_core.domain.configuration import Configuration
from clarion_core.domain.errors import ClarionError
from clarion_core.store.configurations import VERSIONS_KEPT, Configurations
from clarion_workers.routers import NotOpened, Opened, Opener, Routers

FOLLOW_S = 0.5
"""A change is in force after this long at the latest."""

AGAIN_S = 30.0
"""What could not be opened is tried again after this long: a secret's file may have come."""

log = logs.get(__name__)


class Follower:
    """Has a worker follow the store's configurations. Where a version can't be opened, the one before stays in use, or
    is opened; where there is none, what goes by the configuration waits. `changed` is set after each change.
    """

    def __init__(
        self, configurations: Configurations, opener: Opener, routers: Routers, changed: asyncio.Event | None = None
    ) -> None:
        self._configurations, self._opener, self._routers = configurations, opener, routers
        self._changed = changed or asyncio.Event()
        self._seen = -1
        self._failed: dict[str, tuple[Configuration, str]] = {}  # could not be opened, and why; said once
        self._tried_s = time.monotonic()
        self._turn = asyncio.Lock()  # one at a time: what was read first must not be used last

    async def follow(self, *, again: bool = False) -> bool:
        """Look whether something changed, and use it; True where it did. `again`: try once more what failed, too."""
        async with self._turn:
            changes = await self._configurations.changes()
            if changes == self._seen and not (again and self._failed):
                return False
            found = {each.key: each for each in await self._configurations.all()}
            await self._forget_all_but(found)
            self._tried_s = time.monotonic()
            for key, configuration in found.items():
                in_use = self._routers.kept(key)
                if in_use and in_use.is_of(configuration):
                    self._failed.pop(key, None)
                elif again or self._failed.get(key, (None,))[0] != configuration:
                    await self._use(configuration)
            self._seen = changes
            self._changed.set()
            return True

    def failed(self, key: str) -> str | None:
        """Why this worker could not open the newest version of a configuration; None where it did."""
        return self._failed[key][1] if key in self._failed else None

    async def keep(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self.follow(again=time.monotonic() >= self._tried_s + AGAIN_S)
            except ClarionError as error:
                log.debug("configurations_not_followed", reason=error.reason)
            except Exception:  # a worker goes on with what it has
                log.exception("configurations_not_followed")
            await asyncio.sleep(FOLLOW_S)

    async def _forget_all_but(self, there: Collection[str]) -> None:
        for key in self._routers.keys.difference(there):
            await self._routers.put(key, None)
            log.info("configuration_gone", configuration=key)
        for key in set(self._failed).difference(there):
            del self._failed[key]

    async def _use(self, configuration: Configuration) -> None:
        key = configuration.key
        try:
            opened = await self._open(configuration)
        except NotOpened as error:
            await self._fall_back(configuration, str(error))
            return
        self._failed.pop(key, None)
        await self._routers.put(key, opened)
        log.info("configuration_opened", configuration=key, version=configuration.version)

    async def _fall_back(self, configuration: Configuration, why: str) -> None:
        key, in_use = configuration.key, self._routers.kept(configuration.key)
        if not in_use or not in_use.routers or in_use.create_ms != configuration.create_ms:
            in_use = await self._earlier(configuration)
            await self._routers.put(key, in_use)
        if self._failed.get(key) != (configuration, why):
            log.error(
                "configuration_not_opened",
                configuration=key,
                version=configuration.version,
                in_use=in_use.version,
                why=why,
            )
        self._failed[key] = configuration, why

    async def _earlier(self, configuration: Configuration) -> Opened:
        """The last version that can be opened, as a worker would have it in use that ran when it was changed."""
        for version in range(configuration.version - 1, max(0, configuration.version - VERSIONS_KEPT), -1):
            earlier = await self._configurations.version(configuration.workspace, configuration.id, version)
            if earlier is None or earlier.create_ms != configuration.create_ms:
                break
            try:
                return await self._open(earlier)
            except NotOpened:
                continue
        return Opened(version=0, routers={}, create_ms=configuration.create_ms)

    async def _open(self, configuration: Configuration) -> Opened:
        return await asyncio.to_thread(self._opener.open, configuration)
