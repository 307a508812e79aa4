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
from clarion_workers.providers import Route
from clarion_workers.run import Post, Run

WAIT_S = 1.0

log = logs.get(__name__)


class Deliverer:
    """Runs batches."""

    def __init__(self, post: Post) -> None:
        self._post = post

    async def job(self, _ctx: Mapping[str, Any], shard: str, batch: str, epoch: int) -> None:
        """Arq's job. It does not raise: what it leaves behind is found by the next lease or the sweep."""
        ref = BatchRef(shard=int(shard), id=batch, epoch=epoch)
        try:
            await self._run(ref)
        except ClarionError as error:
            log.warning("batch_left", batch=batch, reason=error.reason)
        except Exception:
            log.exception("batch_failed", batch=batch)

    async def _run(self, ref: BatchRef) -> None:
        post = self._post
        route = await self._route()
        if route is None:
            return
        asked_at = time.monotonic()
        try:
            claim = await post.batches.claim(ref, post.router.way(route), lane=post.lane)
        except (ClarionError, asyncio.CancelledError):
            await asyncio.shield(post.router.report(route, []))  # somebody else may probe
            raise
        if isinstance(claim, NotClaimed):
            await post.router.report(route, [])
            log.debug("batch_not_claimed", batch=ref.id, epoch=ref.epoch, why=claim.value)
            return
        async with post.leases.hold(ref, asked_at) as lease:
            await Run(post, claim, lease, route).work()

    async def _route(self) -> Route | None:
        """The provider to begin with. While none may be used, work waits in its queue, and its job here; not for long,
        so that what ended meanwhile is noticed. None when it is time to go.
        """
        while not self._post.draining.is_set():
            route = await self._post.router.choose()
            if isinstance(route, Route):
                return route
            with suppress(TimeoutError):
                async with asyncio.timeout(min(route.wait_s, WAIT_S)):
                    await self._post.draining.wait()
        return None
