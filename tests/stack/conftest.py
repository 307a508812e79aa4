from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def redis_binary() -> Path | None:
    """The server that `make test REDIS=…` asks for; None: the one Clarion finds itself."""
    asked = os.environ.get("CLARION_TEST_REDIS_SERVER")
    return Path(asked) if asked else None


@pytest.fixture
def environment() -> dict[str, str]:
    """A user's, who has set nothing; the ports are free ones."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLARION_")}
    ports = dict.fromkeys(("CLARION_LISTEN", "CLARION_METRICS", "CLARION_EDGE_LISTEN"), "127.0.0.1:0")
    return {**kept, **ports}
