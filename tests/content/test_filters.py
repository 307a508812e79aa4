"""Money, numbers and dates as the recipient's locale writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from babel import Locale, localedata, numbers
from hypothesis import given
from hypothesis import strategies as st

from clarion_core.content.filters import known_locale
from clarion_core.content.numerals import currency_numerals, decimal_numerals
from clarion_core.content.types import TEXT, RenderedTexts, RenderFailure
from support.templates import render, request, revision

LOCALES = sorted(localedata.locale_identifiers())
CURRENCIES = ["EUR", "USD", "JPY", "KWD", "CHF", "INR", "XAU", "ZZZ"]


def said(expression: str, locale: str, value: object = None) -> str:
    campaign = revision(context=("value",), text="{{ " + expression + " }}")
    (result,) = render(campaign, [request({"value": value}, locale=locale)])
    assert isinstance(result, RenderedTexts), result
    return result.get(TEXT)


@pytest.mark.parametrize(
    ("expression", "locale", "expected"),
    [
        ("1234.5 | money('EUR')", "de-DE", "1.234,50\xa0€"),
        ("1234.5 | money('EUR')", "en-US", "€1,234.50"),
        ("1234.5 | money('EUR')", "fr-FR", "1\u202f234,50\xa0€"),
        ("1234.5 | money('JPY')", "ja-JP", "￥1,234"),
        ("1234.5 | money('KWD')", "en-GB", "KWD1,234.500"),
        ("1234567 | money('INR')", "hi-IN", "₹12,34,567.00"),
        ("-3 | money('CHF')", "de-CH", "CHF-3.00"),
        ("'19.90' | money('pln')", "pl-PL", "19,90\xa0zł"),
        ("2.675 | money('USD')", "en", "$2.68"),
        ("12345.678 | number", "de", "12.345,678"),
        ("3 | number", "pt-BR", "3"),
        ("3 | number(2)", "pt-BR", "3,00"),
        ("1 | money('EUR')", "tlh-Klingon", "€1.00"),
        ("1 | money('EUR')", "", "€1.00"),
        ("1.5 | money('EUR')", "de-XX-unknown", "1,50\xa0€"),
        ("1.5 | money('EUR')", "de_AT", "€\xa01,50"),
        ("value | date", "en-US", "Nov 24, 2026"),
        ("value | date('long')", "el-GR", "24 Νοεμβρίου 2026"),
        ("value | date('full')", "ja-JP", "2026年11月24日火曜日"),
        ("value | time", "de", "23:30"),
        ("value | datetime('short')", "en-GB", "24/11/2026, 23:30"),
        ("value | datetime('short', 'Asia/Tokyo')", "en-GB", "25/11/2026, 06:30"),
        ("value | date('yyyy-MM-dd')", "ar", "2026-11-24"),
    ],
)
def test_the_locale_decides(expression: str, locale: str, expected: str) -> None:
    assert said(expression, locale, datetime(2026, 11, 24, 23, 30, tzinfo=timezone(timedelta(hours=2)))) == expected


def test_text_in_rfc_3339_is_a_date_too() -> None:
    assert said("value | datetime('short')", "en-GB", "2026-11-24T08:00:00Z") == "24/11/2026, 08:00"


def test_the_same_instant_at_two_offsets_is_two_times_of_day() -> None:
    instant = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    assert said("value | time", "de", instant) == "08:00"
    assert said("value | time", "de", instant.astimezone(timezone(timedelta(hours=9)))) == "17:00"


@pytest.mark.parametrize(
    "expression",
    [
        "true | money('EUR')",
        "1 | money('EURO')",
        "1 | money('')",
        "'a lot' | money('EUR')",
        "none | money('EUR')",
        "[1] | number",
        "1 | number(99)",
        "'nan' | number",
        "'tomorrow' | date",
        "12 | date",
        "'2026-11-24T08:00:00Z' | date('short', 'Mars/Olympus')",
    ],
)
def test_what_is_no_amount_or_date_fails(expression: str) -> None:
    said("1 | money('EUR')", "en")  # so that a cached 1 can't stand in for true
    (result,) = render(revision(text="{{ " + expression + " }}"), [request()])
    assert isinstance(result, RenderFailure)


AMOUNTS = st.decimals(min_value=-(10**12), max_value=10**12, places=4, allow_nan=False)


@given(AMOUNTS, st.sampled_from(LOCALES), st.sampled_from(CURRENCIES))
def test_money_is_written_as_babel_writes_it(value: Decimal, identifier: str, currency: str) -> None:
    locale = Locale.parse(identifier)
    assert currency_numerals(currency, locale)(value) == numbers.format_currency(value, currency, locale=locale)


@pytest.mark.parametrize("value", ["0", "-0.001", "0.005", "1.005", "-1234567.891", "999999.995", "12"])
def test_money_is_written_as_babel_writes_it_in_every_locale(value: str) -> None:
    for locale in map(Locale.parse, LOCALES):
        for currency in ("EUR", "JPY", "KWD"):
            expected = numbers.format_currency(Decimal(value), currency, locale=locale)
            assert currency_numerals(currency, locale)(Decimal(value)) == expected, (locale, currency)


@given(AMOUNTS, st.sampled_from(LOCALES), st.none() | st.integers(0, 4))
def test_numbers_are_written_as_babel_writes_them(value: Decimal, identifier: str, decimals: int | None) -> None:
    locale = Locale.parse(identifier)
    pattern = numbers.parse_pattern(locale.decimal_formats[None].pattern)
    if decimals is not None:
        pattern.frac_prec = (decimals, decimals)
    assert decimal_numerals(decimals, locale)(value) == pattern.apply(value, locale)


@given(st.text(max_size=20))
def test_any_text_gives_a_locale(text: str) -> None:
    assert isinstance(known_locale(text), Locale)
