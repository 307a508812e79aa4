"""Programs that nobody here wrote, from Debian: installed where they are missing, and needed: nothing is skipped."""

from __future__ import annotations

import pytest

from support.debian import PEERS, need


def pytest_sessionstart(session: pytest.Session) -> None:
    """Install all that is missing, before a test's time runs."""
    need(*PEERS)
