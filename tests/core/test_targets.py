"""What suppression and allow lists name: one form for all spellings of one address, and words for what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion_core.domain.medium import Channel
from clarion_core.domain.suppression import Target, TargetKind
from clarion_core.targets import ADDRESS_MAX, address_form, check_address, check_domain, check_target

EMAIL, SMS, PUSH, WEBHOOK = Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.WEBHOOK


@pytest.mark.parametrize(
    ("channel", "text", "form"),
    [
        (EMAIL, " Ada.Lovelace@EXAMPLE.com ", "ada.lovelace@example.com"),
        (EMAIL, "ADA@Bücher.example", "ada@xn--bcher-kva.example"),
        (EMAIL, "ÄDA@bücher.example", "äda@xn--bcher-kva.example"),
        (SMS, "+4915112345678", "+4915112345678"),
        (SMS, "+49 (151) 1234-5678", "+4915112345678"),
        (PUSH, "cA1:APA91b-x_y", "cA1:APA91b-x_y"),
        (PUSH, "AB" * 32, "ab" * 32),
        (PUSH, '{"keys": {"auth": "k"}, "endpoint": "https://push.example/1"}', "https://push.example/1"),
        (WEBHOOK, "https://Example.COM", "https://example.com/"),
        (WEBHOOK, "HTTP://example.com:80/a?b=c#d", "http://example.com/a?b=c"),
        (WEBHOOK, "https://example.com:8443/A", "https://example.com:8443/A"),
        (WEBHOOK, "https://[2001:DB8::1]/", "https://[2001:db8::1]/"),
    ],
)
def test_an_address_has_one_form(channel: Channel, text: str, form: str) -> None:
    assert check_address(channel, text) == form
    assert check_address(channel, form) == form
    assert address_form(channel, text.strip()) == form


@pytest.mark.parametrize(
    ("channel", "text"),
    [
        (EMAIL, "ada"),
        (EMAIL, "ada@@example.com"),
        (SMS, "0151 12345678"),
        (SMS, "ada"),
        (PUSH, "two words"),
        (PUSH, "{}"),
        (PUSH, "tökn"),
        (WEBHOOK, "example.org/hook"),
        (WEBHOOK, "ftp://example.com/"),
        (WEBHOOK, "https://example.com:port/"),
        (WEBHOOK, "https:///hook"),
        *((channel, text) for channel in Channel for text in ("", "   ", "x" * (ADDRESS_MAX + 1))),
    ],
)
def test_what_is_no_address_is_said_to_be_none_without_repeating_it(channel: Channel, text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is not|must) ") as error:
        check_address(channel, text)
    assert not text.strip() or text not in str(error.value)
    address_form(channel, text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("*.Example.com", "*.example.com"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
    ],
)
def test_a_domain_has_one_form(text: str, form: str) -> None:
    for channel in (EMAIL, WEBHOOK):
        assert check_domain(channel, text) == form
        assert check_target(channel, TargetKind.DOMAIN, text) == Target(TargetKind.DOMAIN, form)


@pytest.mark.parametrize("text", ["", "*", "*.", "a..b", "-a.com", "a b.com", "ada@example.com", "*.*.com", "a|b.com"])
def test_what_is_no_domain_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not a domain"):
        check_domain(EMAIL, text)


@pytest.mark.parametrize("channel", [SMS, PUSH])
def test_a_channel_without_domains_says_so(channel: Channel) -> None:
    with pytest.raises(ValueError, match="are in no domain"):
        check_domain(channel, "example.com")


@given(st.sampled_from(Channel), st.text(max_size=60))
def test_no_text_breaks_the_look_up(channel: Channel, text: str) -> None:
    address_form(channel, text)
