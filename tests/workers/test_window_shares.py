"""Batches and their shares of the window: what bounds what a crash leaves ambiguous."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clarion_core.store.batches import Advanced, BatchStore
from clarion_core.store.keys import key
from support.post import Post, email_campaign
from support.records import LEASE_MS, RETENTION_S, Records

APost = Callable[..., Post]


@pytest.mark.parametrize("crashes", [0, 1])
async def test_a_share_of_the_window_is_held_until_all_of_it_is_recorded(
    records: Records, a_post: APost, crashes: int
) -> None:
    """Else what a death leaves could be more than the window, while the store is slow to record."""
    in_use = []

    class Watched(BatchStore):
        async def finish(self, *args: Any, **options: Any) -> Advanced:
            in_use.append(sum(count for _, _, count in post.windows.in_use()))
            return await super().finish(*args, **options)

    await email_campaign(records)
    await records.trigger(10)
    (ref,) = await records.jobs()
    if crashes:
        await records.store.command("HSET", key(0, "batch", ref.id), "crash", crashes)
    post = a_post(window=20, batches=Watched(records.store, worker="post", lease_ms=LEASE_MS, retention_s=RETENTION_S))
    await post.run(ref)
    assert in_use == [1 if crashes else 10]
    assert {count for _, _, count in post.windows.in_use()} == {0}
