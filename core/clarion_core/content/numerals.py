"""Numbers as a locale writes them, an order of magnitude faster than Babel and equal to it.

Babel works its pattern out anew for every number. Here it is worked out once for each locale and currency, and what
remains is one `format` call. Patterns with other groups than thousands (Hindi's lakh) stay with Babel.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache

from babel import Locale, numbers

Numerals = Callable[[Decimal], str]

_PATTERNS = 4_096  # pairs of locale and currency (or decimals) kept
_THOUSANDS = (3, 3)
_MAX_DECIMALS = 20


@lru_cache(_PATTERNS)
def currency_numerals(currency: str, locale: Locale) -> Numerals:
    """How the locale writes amounts of a currency; `ValueError` unless it looks like an ISO 4217 code."""
    code = currency.upper()
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        raise ValueError("not a currency code")
    pattern = locale.currency_formats["standard"]
    decimals = numbers.get_currency_precision(code)
    if not _is_plain(pattern):
        return lambda value: str(pattern.apply(value, locale, currency=code))
    symbol = numbers.get_currency_symbol(code, locale)
    affixes = [
        (pattern.prefix[sign].replace("¤", symbol), pattern.suffix[sign].replace("¤", symbol)) for sign in (0, 1)
    ]
    return _numerals(affixes, f",.{decimals}f", locale)


@lru_cache(_PATTERNS)
def decimal_numerals(decimals: int | None, locale: Locale) -> Numerals:
    """How the locale writes numbers: with at most three decimals, or with exactly `decimals`."""
    pattern = locale.decimal_formats[None]
    if decimals is None:
        return lambda value: str(pattern.apply(value, locale))
    if not 0 <= decimals <= _MAX_DECIMALS:
        raise ValueError("decimals out of range")
    if not _is_plain(pattern):
        exact = numbers.parse_pattern(pattern.pattern)
        exact.frac_prec = (decimals, decimals)
        return lambda value: str(exact.apply(value, locale))
    return _numerals([(pattern.prefix[sign], pattern.suffix[sign]) for sign in (0, 1)], f",.{decimals}f", locale)


def _numerals(affixes: list[tuple[str, str]], spec: str, locale: Locale) -> Numerals:
    marks = str.maketrans({",": numbers.get_group_symbol(locale), ".": numbers.get_decimal_symbol(locale)})

    def write(value: Decimal) -> str:
        prefix, suffix = affixes[value.is_signed()]
        return prefix + format(abs(value), spec).translate(marks) + suffix

    return write


def _is_plain(pattern: numbers.NumberPattern) -> bool:
    """Whether groups are thousands and nothing in the affixes needs Babel's further rules."""
    affixes = "".join(pattern.prefix + pattern.suffix)
    return pattern.grouping == _THOUSANDS and pattern.int_prec[0] == 1 and "¤¤" not in affixes and "'" not in affixes
