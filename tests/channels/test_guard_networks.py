"""Special networks and odd URLs, at random: none is called, however it is written."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import yarl
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion_core.domain.networks import SPECIAL_V4, SPECIAL_V6, Address, forbidden, networks, special
from clarion_core.urls import read_url

V4 = st.sampled_from(list(SPECIAL_V4)).flatmap(
    lambda network: st.integers(int(network.network_address), int(network.broadcast_address)).map(IPv4Address)
)
V6 = st.sampled_from(list(SPECIAL_V6)).flatmap(
    lambda network: st.integers(int(network.network_address), int(network.broadcast_address)).map(IPv6Address)
)
HIGH = st.integers(0, 2**32 - 1)


def wrapped(inner: IPv4Address, form: str, rest: int) -> IPv6Address:
    """An IPv6 address that carries this one; `rest` fills what the form leaves open."""
    number = int(inner)
    return IPv6Address(
        {
            "mapped": 0xFFFF << 32 | number,
            "compatible": number,
            "translated": 0xFFFF << 48 | number,
            "nat64": 0x64FF9B << 96 | number,
            "6to4": 0x2002 << 112 | number << 80 | rest,
            "teredo client": 0x20010000 << 96 | rest << 64 | (number ^ 0xFFFF_FFFF),
            "teredo server": 0x20010000 << 96 | number << 64 | rest,
            "isatap": 0x26064700 << 96 | rest << 64 | 0x5EFE << 32 | number,
            "isatap, universal": 0x26064700 << 96 | rest << 64 | 0x0200_5EFE << 32 | number,
        }[form]
    )


FORMS = ["mapped", "compatible", "translated", "nat64", "6to4", "teredo client", "teredo server", "isatap"]


@settings(deadline=None)
@given(V4 | V6)
def test_no_address_of_a_special_network_is_allowed(address: Address) -> None:
    assert forbidden(address)


@settings(deadline=None)
@given(V4, st.sampled_from([*FORMS, "isatap, universal"]), HIGH)
def test_no_wrapping_makes_a_special_address_public(inner: IPv4Address, form: str, rest: int) -> None:
    """Not even where the wrapping itself is allowed."""
    outer = wrapped(inner, form, rest)
    assert forbidden(outer)
    assert forbidden(outer, allowed=networks(["2002::/16", "2001::/32", "2606:4700::/32", "::/96", "::ffff:0:0:0/96"]))


@settings(deadline=None)
@given(st.ip_addresses())
def test_what_python_takes_for_not_global_is_forbidden(address: Address) -> None:
    """Python errs on one side alone: what it calls global may not be, and the other way round hardly ever."""
    inside = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    known = (inside or address).is_global
    assert known or special(inside or address)


@settings(deadline=None)
@given(st.sampled_from(["8.8.8.0", "1.1.1.0", "93.184.215.0", "151.101.0.0"]), st.integers(0, 255))
def test_a_public_address_is_allowed_in_every_form_that_leads_to_it(base: str, last: int) -> None:
    inner = IPv4Address(int(ip_address(base)) + last)
    assert not forbidden(inner)
    assert not forbidden(wrapped(inner, "mapped", 0))
    assert not forbidden(wrapped(inner, "nat64", 0))


PIECES = st.sampled_from(
    [
        "https://",
        "http://",
        "https:",
        "//",
        "/",
        "\\",
        "@",
        ":",
        "?",
        "#",
        "%",
        "%2e",
        "%00",
        ".",
        "..",
        "[",
        "]",
        "::1",
        "::ffff:",
        "127.0.0.1",
        "0x7f",
        "1",
        "443",
        "80",
        "a",
        "b.example",
        "ü",
        "①",
        "。",
        "\t",
        "\r\n",
    ]
)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=40).map("https://{}".format))
def test_what_is_understood_is_understood_the_same_by_whoever_calls(text: str) -> None:
    """A URL that we read in one way and the HTTP library in another would make the guard judge what is not called."""
    try:
        url = read_url(text)
    except ValueError:
        return
    assert read_url(url.text) == url
    for called in (yarl.URL(url.text, encoded=True), yarl.URL(url.text), yarl.URL(text)):
        assert (called.scheme, called.port, called.user) == (url.scheme, url.port, None)
        assert called.raw_host is not None
        if url.address is None:
            assert called.raw_host == url.host
        else:
            assert ip_address(called.raw_host) == url.address
    assert yarl.URL(url.text, encoded=True).raw_path_qs == url.target
