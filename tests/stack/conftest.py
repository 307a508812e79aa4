from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def redis_binary() -> Path | None:
    """The server that `make test REDIS=…` asks for; None: the one Clarion finds itself."""
    asked = os.environ.get("CLARION_TEST_REDIS_SERVER")
    return Path(asked) if asked else None
