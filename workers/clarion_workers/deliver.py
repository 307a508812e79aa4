"""Arq's job: claim a batch and deliver it. What happens to a claimed batch is in run.py."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from clarion_core import logs
from clarion_core.domain.errors import ClarionError
from clarion_core.store.batches import BatchRef, NotClaimed
from clarion_core.store.queues import Queue
from clarion_workers.providers import Route, Router
from clarion_workers.routers import Routers
from clarion_workers.run import Post, Run

WAIT_S = 1.0
UNSERVED_TOLD_MS = 10_000  # due for so long: no other worker serves it either, or there are too few

log = logs.get(__name__)


class Deliverer:
    """Runs batches."""

    def __init__(self, post: Post, routers: Routers) -> None:
        self._post, self._routers = post, routers
        self._unserved: set[str] = set()  # told of, until it is served

    async def job(self, _ctx: Mapping[str, Any], shard: str, via: str, batch: str, epoch: int) -> None:
        """Arq's job. It does not raise: what it leaves behind is found by the next lease or the sweep."""
        ref = BatchRef(shard=int(shard), via=via, id=batch, epoch=epoch)
        try:
            await self._run(ref)
        except ClarionError as error:
            log.warning("batch_left", batch=batch, reason=error.reason)
        except Exception:
            log.exception("batch_failed", batch=batch)

    def serves(self, queue: Queue, now_ms: int) -> bool:
        """Whether something here can send what waits in a queue. What nobody has taken for long is told of, once."""
        if self._routers.serves(queue.medium, queue.configuration):
            self._unserved.discard(queue.via)
            return True
        late = queue.jobs and queue.jobs[0][1] < now_ms - UNSERVED_TOLD_MS
        if late and queue.via not in self._unserved:
            self._unserved.add(queue.via)
            log.warning("channel_not_configured", medium=queue.medium.value, configuration=queue.configuration)
        return False

    async def _run(self, ref: BatchRef) -> None:
        """While no provider may be used, work waits in its queue, and its job here, until it is time to go; and looks
        again what is configured, since another provider may be the way out.
        """
        while not self._post.draining.is_set():
            with self._routers.use(ref.medium, ref.configuration) as router:
                if router is None:
                    return  # it waits in its queue, which is not served any more
                route = await router.choose()
                if isinstance(route, Route):
                    await self._deliver(ref, router, route)
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
            post.seeding.begin(router, claim, route)
            await Run(post, router, claim, lease, route).work()
