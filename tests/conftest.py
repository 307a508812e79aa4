"""What every floor of the tests stands on: one real store a session, emptied for each test, and what runs on it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from clarion_core.store.connection import connect
from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from support.clarion import Clarion

JOURNEY_HANGS_S = 300  # it is many processes, and minutes on a machine that is busy with other things


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys are given up as hanging later than other tests."""
    for item in items:
        if item.get_closest_marker("journey") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(JOURNEY_HANGS_S))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("CLARION_") and not name.startswith("CLARION_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture
def usual_ports() -> Iterator[None]:
    """The ports that a stack takes unless told otherwise, for this test alone, in whatever process the others run."""
    with (Path(tempfile.gettempdir()) / "clarion-tests-usual-ports.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis of the session; CLARION_TEST_REDIS_SERVER chooses the program."""
    chosen = os.environ.get("CLARION_TEST_REDIS_SERVER")
    server = RedisServer(tmp_path_factory.mktemp("redis"), Path(chosen) if chosen else None)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[Store]:
    """The session's store, empty, with the functions loaded."""
    store = Store(connect(redis_server.url))
    await store.command("FLUSHALL")
    await store.load()
    yield store
    await store.close()


@pytest.fixture
async def clarion(store: Store, redis_server: RedisServer) -> AsyncIterator[Clarion]:
    """A server and what a test adds to it, in this process, on real ports; stopped at the end."""
    async with Clarion(redis_server.url) as running:
        yield running
