"""Tests of channel configurations: a worker looks at each provider, for a server that asks."""

from __future__ import annotations

import asyncio
import time

from clarion_core import logs
from clarion_core.configuration.channels import ProviderPart
from clarion_core.domain.configuration import Finding
from clarion_core.domain.errors import ClarionError
from clarion_core.domain.retry import clip
from clarion_core.store.configurations import Asked, Configurations, Told
from clarion_workers.channels import Found
from clarion_workers.providers import Router
from clarion_workers.routers import Follower, Routers

LOOK_S = 0.5  # between two looks whether somebody asks
CHECK_S = 20.0

log = logs.get(__name__)


class Checker:
    """Answers tests, one at a time."""

    def __init__(self, configurations: Configurations, routers: Routers, follower: Follower, worker: str) -> None:
        self._configurations, self._routers, self._follower = configurations, routers, follower
        self._worker = worker

    async def keep(self) -> None:
        """Answer until cancelled."""
        while True:
            try:
                if asked := await self._configurations.asked():
                    await self._follower.follow()  # what is tested is what is kept now
                    await self._configurations.answer(asked, await self._tested(asked))
                    continue
            except ClarionError as error:
                log.debug("tests_not_answered", reason=error.reason)
            await asyncio.sleep(LOOK_S)

    async def _tested(self, asked: Asked) -> Told:
        key = f"{asked.workspace}/{asked.configuration}"
        if (why := self._follower.failed(key)) is not None:
            finding = Finding(provider="", kind="", ok=False, detail=f"this worker can't open it: {why}")
            return Told(self._worker, True, (finding,))
        opened = self._routers.find(key)
        if opened is None:
            return Told(self._worker, False)
        findings = []
        for router in opened.routers.values():
            parts = {part.name: part for part in opened.part.providers} if opened.part else {}
            findings += await _looked_at(router, parts)
        return Told(self._worker, True, tuple(findings))


async def _looked_at(router: Router, parts: dict[str, ProviderPart]) -> list[Finding]:
    findings = []
    for name, channel in router.channels.items():
        began = time.monotonic()
        try:
            async with asyncio.timeout(CHECK_S):
                found = await channel.check()
        except TimeoutError:
            found = Found(False, f"no answer within {CHECK_S:g} seconds")
        kind = parts[name].kind if name in parts else "smtp"
        took_ms = round(1000 * (time.monotonic() - began))
        findings.append(Finding(provider=name, kind=kind, ok=found.ok, detail=clip(found.detail), took_ms=took_ms))
    return findings
