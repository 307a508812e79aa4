"""Tests of channel configurations: a worker looks at each provider, for a server that asks."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from clarion_core import logs, tasks
from clarion_core.domain.configuration import Finding, configuration_key
from clarion_core.domain.errors import ClarionError
from clarion_core.domain.medium import Medium
from clarion_core.domain.retry import clip
from clarion_core.store.configurations import Asked, Configurations, Told
from clarion_workers.channels import Channel, Found
from clarion_workers.following import Follower
from clarion_workers.routers import Opened, Routers

LOOK_S = 0.5  # between two looks whether somebody asks
CHECK_S = 20.0  # less than servers wait for an answer
AT_ONCE = 4  # tests; a worker that has so many leaves others to other workers

log = logs.get(__name__)


class Checker:
    """Answers tests, a few at a time: slow providers of one don't hold up the others."""

    def __init__(self, configurations: Configurations, routers: Routers, follower: Follower, worker: str) -> None:
        self._configurations, self._routers, self._follower = configurations, routers, follower
        self._worker = worker

    async def keep(self) -> None:
        """Answer until cancelled."""
        answering: set[asyncio.Task[None]] = set()
        try:
            while True:
                asked = await self._asked() if len(answering) < AT_ONCE else None
                if asked is None:
                    await asyncio.sleep(LOOK_S)
                    continue
                task = asyncio.create_task(self._answer(asked))
                answering.add(task)
                task.add_done_callback(answering.discard)
        finally:
            await tasks.end(answering)

    async def _asked(self) -> Asked | None:
        try:
            return await self._configurations.asked()
        except ClarionError as error:
            log.debug("tests_not_asked_for", reason=error.reason)
            return None

    async def _answer(self, asked: Asked) -> None:
        try:
            await self._follower.follow(again=True)  # what is tested is what is kept now
            await self._configurations.answer(asked, await self._tested(asked))
        except ClarionError as error:
            log.warning("test_not_answered", reason=error.reason)
        except Exception:  # a test must not end a worker
            log.exception("test_not_answered")

    async def _tested(self, asked: Asked) -> Told:
        key = configuration_key(asked.workspace, asked.configuration)
        if (why := self._follower.failed(key)) is not None:
            finding = Finding(provider="", kind="", ok=False, detail=clip(f"this worker can't open it: {why}"))
            return Told(self._worker, True, (finding,))
        opened = self._routers.find(key)
        if opened is None:
            return Told(self._worker, False)
        looks = [self._looked_at(opened, medium, key) for medium in opened.routers]
        findings = {each.provider: each for found in await asyncio.gather(*looks) for each in found}
        names = [part.name for part in opened.part.providers] if opened.part else findings
        return Told(self._worker, True, tuple(findings[name] for name in names if name in findings))

    async def _looked_at(self, opened: Opened, medium: Medium, key: str) -> list[Finding]:
        """What is at the providers, which stay open for as long, whatever is changed meanwhile."""
        kinds = {part.name: part.kind for part in opened.part.providers} if opened.part else {}
        with self._routers.use(medium, key) as router:
            if router is None:
                return []
            return await asyncio.gather(
                *(_look(name, kinds.get(name, "smtp"), channel) for name, channel in router.channels.items())
            )


async def _look(name: str, kind: str, channel: Channel[Any]) -> Finding:
    began = time.monotonic()
    try:
        async with asyncio.timeout(CHECK_S):
            found = await channel.check()
    except TimeoutError:
        found = Found(False, f"no answer within {CHECK_S:g} seconds")
    except Exception as error:  # whatever it is, the others are looked at
        log.exception("provider_not_looked_at", provider=name, kind=kind)
        found = Found(False, f"could not be looked at: {type(error).__name__}")
    took_ms = round(1000 * (time.monotonic() - began))
    return Finding(provider=name, kind=kind, ok=found.ok, detail=clip(found.detail), took_ms=took_ms)
