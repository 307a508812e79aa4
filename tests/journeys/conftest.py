"""Journeys start processes as a user does; each has a Redis of its own, so that it may be killed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.journey import Journey


@pytest.fixture
async def journey(tmp_path: Path) -> AsyncIterator[Journey]:
    """Redis and a sink run; servers and workers are the test's to start. Their last words are shown should it fail."""
    chosen = os.environ.get("CLARION_TEST_REDIS_SERVER")
    async with Journey(tmp_path, Path(chosen) if chosen else None) as started:
        yield started
        started.show()
