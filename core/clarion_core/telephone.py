"""Telephone numbers of people: whether something can be one, and the form in which Clarion uses it."""

from __future__ import annotations

import re

from phonenumbers import (
    SUPPORTED_REGIONS,
    NumberParseException,
    ValidationResult,
    is_possible_number_with_reason,
    parse,
    region_code_for_country_code,
    region_code_for_number,
)

# What people put between digits: blanks of every kind, brackets, dots, dashes, slashes.
_BETWEEN = re.compile(r"[\s()./\u2010-\u2015-]+")
_E164 = re.compile(r"\+[1-9][0-9]{1,14}", re.ASCII)  # ITU-T E.164: 15 digits with the country's code at most
_WRONG_LENGTH = {
    ValidationResult.TOO_SHORT: "has too few digits for its country",
    ValidationResult.TOO_LONG: "has too many digits for its country",
    ValidationResult.INVALID_LENGTH: "has a number of digits that its country does not use",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "lacks its area code",
}


def plain_number(text: str) -> str:
    """The number without what stands between its digits: `+49 (151) 123-45` is `+4915112345`."""
    return _BETWEEN.sub("", text)


def check_number(number: str) -> None:
    """`ValueError` says why this is no number in E.164 that could be somebody's; it repeats nothing of it.

    What is looked at is the country's code and how many digits the country's numbers have. Which of them are in use
    changes faster than any list.
    """
    if not _E164.fullmatch(number):
        raise ValueError("is not a telephone number in E.164: + and the country's code, like +4915112345678")
    try:
        reason = is_possible_number_with_reason(parse(number))
    except NumberParseException:
        raise ValueError("is not a telephone number: no country has this code") from None
    if reason != ValidationResult.IS_POSSIBLE:
        raise ValueError(f"is not a telephone number: it {_WRONG_LENGTH.get(reason, 'can not be dialled')}")


def country_of(number: str) -> str:
    """The country of a number in E.164, by its ISO 3166 code; empty where it is of none, like +800.

    Where several countries share a code and the number is in use in none of them, it is the code's main one.
    """
    try:
        parsed = parse(number)
    except NumberParseException:
        return ""
    found = region_code_for_number(parsed) or region_code_for_country_code(parsed.country_code or 0)
    return found if found in SUPPORTED_REGIONS else ""
