"""Times, as providers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion_edge.moments import milliseconds

TEN = 1_737_367_205_000


@pytest.mark.parametrize(
    "written",
    [
        "2025-01-20T10:00:05Z",
        "2025-01-20T10:00:05.000Z",
        "2025-01-20T11:00:05.000+0100",
        "2025-01-20 10:00:05",
        "Mon, 20 Jan 2025 11:00:05 +0100",
        "Mon, 20 Jan 2025 10:00:05",
        "1737367205",
        "1737367205000",
        "1737367205.0",
    ],
)
def test_the_same_moment_is_read_from_every_form(written: str) -> None:
    assert milliseconds(written) == TEN


@pytest.mark.parametrize("written", ["", "yesterday", "nan", "inf", "-1", "0", "1e300", "0001-01-01T00:00:00+23:59"])
def test_what_is_no_moment_is_none(written: str) -> None:
    assert milliseconds(written) == 0


@given(st.text(max_size=40) | st.datetimes().map(str) | st.floats().map(str))
def test_nothing_breaks_the_reading(written: str) -> None:
    assert 0 <= milliseconds(written) < 253_402_300_800_000
