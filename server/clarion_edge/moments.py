"""When something happened, in the ways that providers write it."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MILLISECONDS_FROM = 100_000_000_000  # as seconds, the year 5138: a number above is milliseconds
_LAST_MS = 253_402_300_799_999


def milliseconds(written: str) -> int:
    """Milliseconds since 1970; 0 for what can't be read. ISO 8601, RFC 5322, and seconds or milliseconds since 1970.

    A time without a zone is UTC.
    """
    written = written.strip()[:64]
    number = _number(written)
    if number is None:
        moment = _iso(written) or _mail(written)
        try:
            number = moment.timestamp() if moment else 0.0
        except (OverflowError, ValueError):  # the year 1, in a zone ahead of UTC
            return 0
    ms = number if number >= _MILLISECONDS_FROM else 1000 * number
    return round(ms) if 0 < ms <= _LAST_MS else 0


def _number(written: str) -> float | None:
    try:
        number = float(written)
    except ValueError:
        return None
    return number if math.isfinite(number) else 0.0


def _iso(written: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _mail(written: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(written)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
