"""Arq's job: claim a batch and deliver it. What happens to a claimed batch is in run.py."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from clarion_core import logs
from clarion_core.domain.errors import ClarionError
from clarion_core.store.batches import BatchRef, NotClaimed
from clarion_workers.run import Post, Run

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
        post, drawn = self._post, random.random()
        way = await post.router.wait(drawn, post.draining)  # while no provider works, work waits in its queue
        if way is None:
            return
        asked_at = time.monotonic()
        claim = await post.batches.claim(ref, way)
        if isinstance(claim, NotClaimed):
            log.debug("batch_not_claimed", batch=ref.id, epoch=ref.epoch, why=claim.value)
            return
        async with post.leases.hold(ref, asked_at) as lease:
            await Run(post, claim, lease, drawn).work()
