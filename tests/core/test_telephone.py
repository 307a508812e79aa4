"""Telephone numbers: what can be one, and what is said of what can't."""

from __future__ import annotations

import phonenumbers
import pytest

from clarion_core.telephone import check_number, country_of, plain_number


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_the_example_mobile_number_of_every_country_is_one(region: str) -> None:
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    example = example or phonenumbers.example_number(region)
    for form in (phonenumbers.PhoneNumberFormat.E164, phonenumbers.PhoneNumberFormat.INTERNATIONAL):
        check_number(plain_number(phonenumbers.format_number(example, form)))


@pytest.mark.parametrize(
    ("number", "says"),
    [
        ("", "E.164"),
        ("0151 12345678", "E.164"),
        ("004915112345678", "E.164"),
        ("+49151123456789012", "E.164"),
        ("+4915112x45678", "E.164"),
        ("+49١٥١١٢٣٤٥٦٧٨", "E.164"),
        ("+49 151;ext=5", "E.164"),
        ("+99912345678", "no country"),
        ("+1202555012", "too few digits"),
        ("+120255501234", "too many digits"),
        ("+15550100", "area code"),
    ],
)
def test_what_can_t_be_a_number_is_refused_without_repeating_it(number: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        check_number(number)
    assert not number or number not in str(error.value)


def test_what_people_put_between_digits_is_left_out_and_nothing_else_is() -> None:
    assert plain_number(" +49\u00a0(151) 123\u201145/67.8 ") == "+4915112345678"
    assert plain_number("+49 151 call me") == "+49151callme"


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+4915112345678", "DE"),
        ("+12025550123", "US"),
        ("+14165550123", "CA"),
        ("+447700900123", "GB"),  # in use nowhere, and its code is also that of Jersey
        ("+77012345678", "KZ"),
        ("+79123456789", "RU"),
        ("+80012345678", ""),
        ("+999123", ""),
        ("", ""),
        ("Clarion", ""),
    ],
)
def test_a_number_has_a_country(number: str, country: str) -> None:
    assert country_of(number) == country
