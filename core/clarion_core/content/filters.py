"""What templates say in the recipient's locale: money, numbers, dates.

Every filter takes the locale from `recipient.locale` (BCP 47). A locale that Unicode's CLDR does not know falls back
to its language, and that to English. Digits are Latin in all locales.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from babel import Locale, UnknownLocaleError, dates
from jinja2 import pass_context
from jinja2.runtime import Context

from clarion_core.content.numerals import currency_numerals, decimal_numerals

FALLBACK = "en"
_LOCALES = 1_024  # different locale texts kept; CLDR has about as many
_VALUES = 16_384  # formatted values kept, a filter: prices repeat, and each text is used in HTML and plain text

Number = int | float | str | Decimal


@pass_context
def money(context: Context, value: Number, currency: str) -> str:
    """An amount in a currency (ISO 4217), with the currency's decimals: `{{ 12.5|money('EUR') }}`."""
    return _money(value, currency, context.parent["recipient"]["locale"])


@pass_context
def number(context: Context, value: Number, decimals: int | None = None) -> str:
    """A number with the locale's separators and at most three decimals, or exactly `decimals` of them."""
    return _number(value, decimals, context.parent["recipient"]["locale"])


@pass_context
def date(context: Context, value: datetime | str, style: str = "medium", timezone: str = "") -> str:
    """The day. `style` is short, medium, long, full or a CLDR pattern; `timezone` an IANA name.

    Without `timezone` it is the day at the value's own offset. Text must be RFC 3339.
    """
    return _date_time(dates.format_date, _iso(value), style, timezone, context.parent["recipient"]["locale"])


@pass_context
def time_of_day(context: Context, value: datetime | str, style: str = "short", timezone: str = "") -> str:
    """The time of day; arguments as for `date`."""
    return _date_time(dates.format_time, _iso(value), style, timezone, context.parent["recipient"]["locale"])


@pass_context
def date_time(context: Context, value: datetime | str, style: str = "medium", timezone: str = "") -> str:
    """Day and time; arguments as for `date`."""
    return _date_time(dates.format_datetime, _iso(value), style, timezone, context.parent["recipient"]["locale"])


FILTERS: Mapping[str, Callable[..., str]] = {
    "money": money,
    "number": number,
    "date": date,
    "time": time_of_day,
    "datetime": date_time,
}


@lru_cache(_LOCALES)
def known_locale(text: str) -> Locale:
    """The locale of a BCP 47 tag, or the nearest that is known: fewer subtags, at last English."""
    subtags = text.replace("_", "-").split("-")
    for length in range(len(subtags), 0, -1):
        try:
            return Locale.parse("-".join(subtags[:length]), sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse(FALLBACK)


def _iso(value: datetime | str) -> str:
    # Two datetimes of one instant are equal whatever their offsets, so the cache is keyed by the text.
    return value.isoformat() if isinstance(value, datetime) else value


# typed: True, 1 and 1.0 are one key otherwise, and True is no amount.
@lru_cache(_VALUES, typed=True)
def _money(value: Number, currency: str, locale: str) -> str:
    return currency_numerals(currency, known_locale(locale))(_decimal(value))


@lru_cache(_VALUES, typed=True)
def _number(value: Number, decimals: int | None, locale: str) -> str:
    return decimal_numerals(decimals, known_locale(locale))(_decimal(value))


@lru_cache(_VALUES)
def _date_time(form: Callable[..., str], iso: str, style: str, timezone: str, locale: str) -> str:
    value = datetime.fromisoformat(iso)
    if timezone:
        value = value.astimezone(dates.get_timezone(timezone))
    return form(value, style, locale=known_locale(locale))


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise TypeError("not a number")
    # Through text: 2.675 means 2.675, not the binary fraction next to it.
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError("not a finite number")
    return number
