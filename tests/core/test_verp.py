"""Bounce addresses: read back, and never made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion_core import verp
from clarion_core.domain.ids import ALPHABET, base32

DOMAIN = "bounces.shop.example"
OLD, NEW = b"the secret from before", b"the secret that is in use"
IDS = st.integers(0, 2**105 - 1).flatmap(lambda n: st.integers(0, 10**7).map(lambda k: f"{base32(n, 21)}e-{k}"))


@given(IDS)
def test_a_bounce_address_tells_its_delivery(delivery_id: str) -> None:
    address = verp.encode(delivery_id, DOMAIN, NEW)
    assert verp.decode(address, DOMAIN, [NEW]) == delivery_id
    assert verp.decode(f"<{address.upper()}>", DOMAIN, [NEW, OLD]) == delivery_id
    local = address.partition("@")[0]
    assert len(local) <= 64
    assert set(local) <= {*ALPHABET, *"+-.bounce"}


@given(IDS, st.integers(0, 15), st.sampled_from(ALPHABET))
def test_a_code_that_is_not_ours_tells_nothing(delivery_id: str, place: int, char: str) -> None:
    local, _, domain = verp.encode(delivery_id, DOMAIN, NEW).partition("@")
    at = len(local) - 16 + place
    forged = f"{local[:at]}{char}{local[at + 1 :]}@{domain}"
    assert verp.decode(forged, DOMAIN, [NEW]) == (delivery_id if local[at] == char else None)


def test_another_deliverys_code_does_not_fit() -> None:
    code = verp.encode("00abc-1", DOMAIN, NEW).partition("@")[0].rpartition(".")[2]
    assert verp.decode(f"bounce+00abc-2.{code}@{DOMAIN}", DOMAIN, [NEW]) is None


def test_a_secret_can_be_changed_while_mail_is_on_its_way() -> None:
    address = verp.encode("00abc-1", DOMAIN, OLD)
    assert verp.decode(address, DOMAIN, [NEW, OLD]) == "00abc-1"
    assert verp.decode(address, DOMAIN, [NEW]) is None


@pytest.mark.parametrize(
    "address",
    ["", "@", "a@b", "bounce@bounces.shop.example", f"{verp.COPY}@{DOMAIN}", f"bounce+00abc-1@{DOMAIN}", "é\0@x" * 99],
)
def test_what_is_no_bounce_address_tells_nothing(address: str) -> None:
    assert verp.decode(address, DOMAIN, [NEW]) is None


def test_another_domains_address_tells_nothing() -> None:
    assert verp.decode(verp.encode("00abc-1", "bounces.other.example", NEW), DOMAIN, [NEW]) is None


@pytest.mark.parametrize("delivery_id", ["", "a b", "a@b", "A", "x" * 41, "a.b"])
def test_an_id_that_fits_in_no_address_is_refused(delivery_id: str) -> None:
    with pytest.raises(verp.VerpRefused):
        verp.encode(delivery_id, DOMAIN, NEW)
