"""What is an address, in which form, and what is said about what is none."""

from __future__ import annotations

import email_validator
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clarion_core import addresses
from clarion_core.addresses import Mailbox, check_email, parse_mailbox


@pytest.mark.parametrize(
    ("address", "used"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada.Lovelace+news@Example.COM", "Ada.Lovelace+news@example.com"),
        ("o'hara@mail.example", "o'hara@mail.example"),
        ("ada@shop.test", "ada@shop.test"),
        ("root@localhost", "root@localhost"),
        ("ada@host.localhost", "ada@host.localhost"),
        ("ada@printer.local", "ada@printer.local"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("山田@例え.example", "山田@例え.example"),
        ("用户@例子.test", "用户@例子.test"),
        ("a\u0301da@example.com", "\u00e1da@example.com"),
    ],
)
def test_an_address_comes_back_in_the_form_to_use(address: str, used: str) -> None:
    assert check_email(address) == used


@pytest.mark.parametrize(
    "address",
    [
        "",
        "zanzibar",
        "zanzibar.example.com",
        "zanzibar@",
        "@zanzibar.example",
        "zanzibar@quagga",
        "zan..zibar@example.com",
        ".zanzibar@example.com",
        "zanzibar@example..com",
        "zanzibar@example.com.",
        "zanzibar@-quagga.com",
        "zanzibar@quagga_.com",
        "zanzibar@example,com",
        "zan zibar@example.com",
        "zan\u202ezibar@example.com",
        "zanzibar@example.com\r\nBcc: quagga@example.org",
        "zanzibar@example.com\n",
        "zanzibar\x00@example.com",
        "zanzibar@quag\u200bga.com",
        "zanzibar@xn--quagga-.com",
        "zanzibar@qua\u00adgga\u0640.com",
        "Zanzibar <zanzibar@example.com>",
        '"zanzibar quagga"@example.com',
        "zanzibar@[127.0.0.1]",
        "zanzibar@" + "quagga." * 40 + "com",
        "zanzibar" * 40 + "@example.com",
    ],
)
def test_what_is_none_is_described_without_repeating_it(address: str) -> None:
    with pytest.raises(ValueError, match=r"^is not an e-mail address: [a-z]") as caught:
        check_email(address)
    assert "zibar" not in str(caught.value)
    assert "quag" not in str(caught.value)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


LOCAL = st.from_regex(r"\A[a-z0-9_+.A-Z'\u00e9 -]{1,70}\Z")
DOMAIN = st.lists(st.from_regex(r"\A(?:xn--)?[a-z0-9A-Z_-]{1,66}\Z"), min_size=1, max_size=4).map(".".join)
NEARLY_PLAIN = st.from_regex(
    r"\A[a-z0-9_+-]{1,9}(\.[a-z0-9_+-]{1,9})?@([a-z0-9]{1,70}|[a-z0-9-]{1,9})\.[a-z0-9]{1,4}\Z"
)


@given(st.builds("{}@{}".format, LOCAL, DOMAIN) | NEARLY_PLAIN)
@example("a@b.co\n")
@example("a@ab--cd.com")
@example("a@xn--abc.com")
@example("a@" + "a" * 64 + ".com")
@example("a" * 250 + "@b.co")
def test_the_short_cut_takes_only_what_the_library_takes_unchanged(address: str) -> None:
    if addresses._PLAIN.match(address):
        addresses._prepare_library()
        found = email_validator.validate_email(address, check_deliverability=False, test_environment=True)
        assert address == found.normalized == found.ascii_email


@given(st.from_regex(r"\A[a-z]{2,10}(\.[a-z0-9]{1,8})?@[a-z0-9]{1,10}(-[a-z0-9]{1,5})?\.[a-z]{2,5}\Z"))
def test_most_addresses_take_the_short_cut(address: str) -> None:
    assert addresses._PLAIN.match(address)


@given(st.text(max_size=60) | st.builds("{}@{}".format, st.text(max_size=20), st.text(max_size=30)))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        used = check_email(text)
    except ValueError:
        return
    assert check_email(used) == used
    assert used.isprintable()
    assert not set(used) & set(" <>,\r\n")


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("orders@shop.example", "", "orders@shop.example"),
        ("<orders@shop.example>", "", "orders@shop.example"),
        ("Shop <orders@shop.example>", "Shop", "orders@shop.example"),
        ("Lumen & Loom <orders@shop.example>", "Lumen & Loom", "orders@shop.example"),
        ('"Shop, Inc." <orders@shop.example>', "Shop, Inc.", "orders@shop.example"),
        (r'"The \"Shop\"" <orders@shop.example>', 'The "Shop"', "orders@shop.example"),
        ("Bücher Müller <info@bücher.example>", "Bücher Müller", "info@xn--bcher-kva.example"),
        ("店 <orders@shop.example> ", "店", "orders@shop.example"),
    ],
)
def test_a_mailbox_is_a_name_and_an_address(text: str, name: str, address: str) -> None:
    assert parse_mailbox(text) == Mailbox(name, address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Shop",
        "Shop <>",
        "Shop <orders>",
        "Shop <orders@shop.example",
        "Shop orders@shop.example>",
        "Shop, Inc. <orders@shop.example>",
        "Shop <a@shop.example>, Other <b@shop.example>",
        "a@shop.example, b@shop.example",
        "Shop <a@shop.example> Bcc: b@shop.example",
        "Shop\r\nBcc: b@shop.example <a@shop.example>",
        "=?utf-8?q?Shop=0D=0ABcc=3A_b=40shop.example?= <a@shop.example>",
        "Shop\x00 <a@shop.example>",
        '"Shop <a@shop.example>',
    ],
)
def test_what_is_no_mailbox_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is not|can't hold)"):
        parse_mailbox(text)
