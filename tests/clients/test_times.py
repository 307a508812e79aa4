"""Instants and spans of time as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion_client.cli import times


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("2h", timedelta(hours=2)),
        ("1h30m", timedelta(minutes=90)),
        ("3d12h", timedelta(hours=84)),
        ("1d2h3m4s", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("99999d", timedelta(days=99_999)),
    ],
)
def test_a_span_is_numbers_with_units(text: str, span: timedelta) -> None:
    assert times.span(text) == span


@pytest.mark.parametrize("text", ["", "10", "m", "10x", "-10m", "1.5h", "30m1h", "1h 30m", "0m", "999999d", "١٠m"])
def test_what_is_no_span_is_told_the_rule(text: str) -> None:
    with pytest.raises(ValueError, match="like 10m or 1h30m"):
        times.span(text)


@given(st.integers(min_value=1, max_value=86_400 * 99_999))
def test_a_span_reads_as_it_is_written(seconds: int) -> None:
    assert times.span(times.span_text(seconds)) == timedelta(seconds=seconds)


def test_no_time_at_all_is_written_too() -> None:
    assert times.span_text(0) == "0s"


def test_an_instant_has_its_time_zone() -> None:
    there = timezone(timedelta(hours=1))
    assert times.instant("2026-11-24T08:00:00Z") == datetime(2026, 11, 24, 8, tzinfo=UTC)
    assert times.instant("2026-11-24T09:00:00.250+01:00") == datetime(2026, 11, 24, 9, 0, 0, 250_000, tzinfo=there)


@pytest.mark.parametrize("text", ["", "soon", "2026-11-24", "2026-11-24T08:00:00", "2026-13-24T08:00:00Z", 1, None])
def test_what_is_no_instant_is_told_the_rule(text: object) -> None:
    with pytest.raises(ValueError, match="with its time zone"):
        times.instant(text)


def test_a_span_is_how_long_ago() -> None:
    before = datetime.now(UTC)
    ago = times.instant_or_ago("2h")
    assert before - timedelta(hours=2) <= ago <= datetime.now(UTC) - timedelta(hours=2)
    assert times.instant_or_ago("2026-11-24T08:00:00Z") == datetime(2026, 11, 24, 8, tzinfo=UTC)
    assert times.instant_or_ago("99999d").year < 1900
    with pytest.raises(ValueError, match="or how long ago"):
        times.instant_or_ago("yesterday")
