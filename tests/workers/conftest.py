"""A store checked after every test, and the delivery step on a real SMTP peer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from clarion_core.store.store import Store
from support.invariants import check
from support.post import Post
from support.records import Records
from support.smtp_sink import SmtpSink


@pytest.fixture
async def records(store: Store) -> AsyncIterator[Records]:
    records = Records(store)
    yield records
    await check(records)


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink() as sink:
        yield sink


@pytest.fixture
async def a_post(records: Records, sink: SmtpSink) -> AsyncIterator[Callable[..., Post]]:
    """Makes delivery steps that send to the sink."""
    made: list[Post] = []

    def make(**options: Any) -> Post:
        made.append(Post(records, sink.port, **options))
        return made[-1]

    yield make
    for post in made:
        await post.close()
