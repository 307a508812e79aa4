"""Arq's job: claim a batch and deliver it. What happens to a claimed batch is in run.py."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from clarion_core import logs
from clarion_core.domain.errors import ClarionError
from clarion_core.store.batches import BatchRef, NotClaimed
from clarion_workers.providers import NoRoute, Route, Router
from clarion_workers.routers import Routers
from clarion_workers.run import Post, Run

WAIT_S = 1.0
UNSERVED_WAIT_MS = 10_000
AGAIN_S, SPREAD_S = 5.0, 0.5

log = logs.get(__name__)


class Deliverer:
    """Runs batches."""

    def __init__(self, post: Post, routers: Routers) -> None:
        self._post, self._routers = post, routers
        self._unserved: set[str] = set()  # logged once each, until it is served

    async def job(self, _ctx: Mapping[str, Any], shard: str, via: str, batch: str, epoch: int) -> None:
        """Arq's job. It does not raise: what it leaves behind is found by the next lease or the sweep."""
        ref = BatchRef(shard=int(shard), via=via, id=batch, epoch=epoch)
        try:
            await self._run(ref)
        except ClarionError as error:
            log.warning("batch_left", batch=batch, reason=error.reason)
        except Exception:
            log.exception("batch_failed", batch=batch)

    async def _run(self, ref: BatchRef) -> None:
        """While no provider may be used, work waits in its queue, and its job here, until it is time to go; and looks
        again what is configured, since another provider may be the way out. Where another configuration's work would
        find no place because of it, the job does not wait here, but comes again.
        """
        while not self._post.draining.is_set():
            with self._routers.use(ref.medium, ref.configuration) as router:
                if router is None:
                    await self._put_off(ref)
                    return
                self._unserved.discard(ref.via)
                route = await router.choose()
                if isinstance(route, Route):
                    await self._deliver(ref, router, route)
                    return
            if self._routers.is_shared(ref.medium):
                await self._come_again(ref, route)
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(min(route.wait_s, WAIT_S)):
                    await self._post.draining.wait()

    async def _deliver(self, ref: BatchRef, router: Router, route: Route) -> None:
        post = self._post
        asked_at = time.monotonic()
        try:
            claim = await post.batches.claim(ref, router.way(route), lane=post.lane)
        except (ClarionError, asyncio.CancelledError):
            await asyncio.shield(router.report(route, []))  # somebody else may probe
            raise
        if isinstance(claim, NotClaimed):
            await router.report(route, [])
            log.debug("batch_not_claimed", batch=ref.id, epoch=ref.epoch, why=claim.value)
            return
        async with post.leases.hold(ref, asked_at) as lease:
            await Run(post, router, claim, lease, route).work()

    async def _come_again(self, ref: BatchRef, route: NoRoute) -> None:
        """When a provider may be used, or something else may be configured; and not all at once: those of others who
        come then find a place in between.
        """
        pause_s = min(route.wait_s, AGAIN_S)
        later_s = pause_s - route.wait_s + random.random() * max(pause_s, SPREAD_S)
        await self._post.batches.postpone(ref, lane=self._post.lane, due_ms=route.until_ms + round(1000 * later_s))

    async def _put_off(self, ref: BatchRef) -> None:
        """Nobody can send it now: it waits for its channel configuration, out of the way of the others."""
        if ref.via not in self._unserved:
            self._unserved.add(ref.via)
            log.warning("channel_not_configured", medium=ref.medium.value, configuration=ref.configuration)
        claim = await self._post.batches.claim(ref, lane=self._post.lane)
        if not isinstance(claim, NotClaimed):
            await self._post.batches.finish(claim, [], wait_ms=UNSERVED_WAIT_MS)
