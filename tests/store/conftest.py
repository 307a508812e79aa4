"""The store's records, checked after every test: the account closes and nothing open is out of reach."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from clarion_core.store.store import Store
from support.invariants import check
from support.records import Records


@pytest.fixture
async def records(store: Store) -> AsyncIterator[Records]:
    records = Records(store)
    yield records
    await check(records)
