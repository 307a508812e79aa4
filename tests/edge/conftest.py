"""The public door, on a real store and real ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from support.edge import SECRET, Door
from support.invariants import check
from support.records import Records


@pytest.fixture
async def door(
    store: Store, redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Door]:
    monkeypatch.setenv("RECEIPTS_SECRET", SECRET)
    records = Records(store)
    async with Door(records, redis_server.url, tmp_path) as door:
        yield door
    await check(records)
