"""Instants and spans of time as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

INSTANT_RULE = "an instant is written with its time zone, like 2026-11-24T08:00:00Z or 2026-11-24T09:00:00+01:00"
SPAN_RULE = "a span of time is numbers with d, h, m or s, like 10m or 1h30m"
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SPAN = re.compile(r"(?=.)(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,5})s)?", re.ASCII)


def instant(text: object) -> datetime:
    """`2026-11-24T08:00:00Z` (RFC 3339). ValueError with the rule where it is none, or has no time zone."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    if found is None or found.utcoffset() is None:
        raise ValueError(INSTANT_RULE)
    return found


def span(text: str) -> timedelta:
    """`10m`, `2h`, `1h30m`. ValueError with the rule where it is none, or none that is longer than nothing."""
    found = _SPAN.fullmatch(text)
    parts = found.groups(default="0") if found else ()
    seconds = sum(int(number) * unit for number, unit in zip(parts, _UNITS.values(), strict=False))
    if not seconds:
        raise ValueError(SPAN_RULE)
    return timedelta(seconds=seconds)


def instant_or_ago(text: str) -> datetime:
    """An instant, or how long ago: `2h`. ValueError with both rules."""
    for read in (instant, lambda ago: datetime.now(UTC) - span(ago)):
        try:
            return read(text)
        except ValueError:
            continue
    raise ValueError(f"{INSTANT_RULE}; or how long ago: {SPAN_RULE}")


def span_text(seconds: int) -> str:
    """Seconds as `span` reads them: 5400 is `1h30m`."""
    text = ""
    for unit, length in _UNITS.items():
        number, seconds = divmod(seconds, length)
        text += f"{number}{unit}" if number else ""
    return text or "0s"
