"""Addresses that are not of the public internet, in whatever form they come.

Python's `is_global` is no help: in 3.11 it takes multicast, NAT64, 6to4 and a part of 192.0.0.0/24 for global
(CVE-2024-4032 and more). So the networks are written out: the special-purpose address registries of IANA (RFC 6890 and
its successors), what is reserved or deprecated, and one address on which a cloud serves its machines.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SPECIAL_V4 = {
    IPv4Network("0.0.0.0/8"): "this network",  # RFC 791 §3.2; Linux takes 0.0.0.0 for itself
    IPv4Network("10.0.0.0/8"): "private network",  # RFC 1918
    IPv4Network("100.64.0.0/10"): "shared address space",  # RFC 6598, carrier-grade NAT; Alibaba Cloud's metadata
    IPv4Network("127.0.0.0/8"): "loopback",  # RFC 1122 §3.2.1.3
    IPv4Network("168.63.129.16/32"): "cloud platform",  # Azure's own services, on every machine there
    IPv4Network("169.254.0.0/16"): "link-local",  # RFC 3927; most clouds' metadata
    IPv4Network("172.16.0.0/12"): "private network",  # RFC 1918
    IPv4Network("192.0.0.0/24"): "protocol assignments",  # RFC 6890; Oracle Cloud's metadata
    IPv4Network("192.0.2.0/24"): "documentation",  # RFC 5737
    IPv4Network("192.31.196.0/24"): "AS112",  # RFC 7535
    IPv4Network("192.52.193.0/24"): "AMT",  # RFC 7450
    IPv4Network("192.88.99.0/24"): "6to4 relays",  # RFC 7526
    IPv4Network("192.168.0.0/16"): "private network",  # RFC 1918
    IPv4Network("192.175.48.0/24"): "AS112",  # RFC 7534
    IPv4Network("198.18.0.0/15"): "benchmarking",  # RFC 2544
    IPv4Network("198.51.100.0/24"): "documentation",  # RFC 5737
    IPv4Network("203.0.113.0/24"): "documentation",  # RFC 5737
    IPv4Network("224.0.0.0/4"): "multicast",  # RFC 5771
    IPv4Network("240.0.0.0/4"): "reserved",  # RFC 1112 §4; the limited broadcast in it
}

MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291 §2.5.5.2
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1
GLOBAL_V6 = IPv6Network("2000::/3")  # RFC 4291 §2.4: what IANA gives out is from here
COMPATIBLE = IPv6Network("::/96")  # RFC 4291 §2.5.5.1
TRANSLATED = IPv6Network("::ffff:0:0:0/96")  # RFC 2765 §2.1
TEREDO = IPv6Network("2001::/32")  # RFC 4380 §4
SIX_TO_FOUR = IPv6Network("2002::/16")  # RFC 3056 §2

SPECIAL_V6 = {
    IPv6Network("::1/128"): "loopback",
    IPv6Network("::/128"): "unspecified",
    COMPATIBLE: "IPv4-compatible",
    TRANSLATED: "IPv4-translated",
    IPv6Network("64:ff9b:1::/48"): "local NAT64",  # RFC 8215: what is inside is for the network's owner to say
    IPv6Network("100::/64"): "discarded",  # RFC 6666
    IPv6Network("100:0:0:1::/64"): "discarded",  # RFC 9780
    TEREDO: "Teredo",
    IPv6Network("2001::/23"): "protocol assignments",  # RFC 2928
    IPv6Network("2001:db8::/32"): "documentation",  # RFC 3849
    SIX_TO_FOUR: "6to4",
    IPv6Network("2620:4f:8000::/48"): "AS112",  # RFC 7534
    IPv6Network("3fff::/20"): "documentation",  # RFC 9637
    IPv6Network("5f00::/16"): "segment routing",  # RFC 9602
    IPv6Network("fc00::/7"): "private network",  # RFC 4193; Amazon's metadata
    IPv6Network("fe80::/10"): "link-local",  # RFC 4291 §2.5.6
    IPv6Network("fec0::/10"): "site-local",  # RFC 3879
    IPv6Network("ff00::/8"): "multicast",  # RFC 4291 §2.7
}

_ISATAP = 0x0000_5EFE  # RFC 5214 §6.1: the interface identifier's upper half, whatever its universal/local bit
_UNIVERSAL = 0x0200_0000


def forbidden(address: Address, *, allowed: Collection[Network] = (), denied: Collection[Network] = ()) -> str:
    """Why this address may not be called, in a word or two; empty where it may.

    An address that carries others is judged by each of them too. What is `allowed` may be called though it is special,
    what is `denied` may not though it is public, or allowed.
    """
    for part in carried(address):
        if _within(part, denied):
            return "denied network"
        if not _within(part, allowed) and (rule := special(part)):
            return rule
    return ""


def carried(address: Address) -> tuple[Address, ...]:
    """The addresses that a packet to this one may end at: itself, and those that it carries.

    A mapped address and one of NAT64 are forms of the address in them and nothing by themselves.
    """
    if isinstance(address, IPv4Address):
        return (address,)
    number = int(address)
    low = IPv4Address(number & 0xFFFF_FFFF)
    if address in MAPPED or address in NAT64:
        return (low,)
    if address in SIX_TO_FOUR:
        return (address, IPv4Address(number >> 80 & 0xFFFF_FFFF))
    if address in TEREDO:  # its server, and the client, whose bits are inverted
        return (address, IPv4Address(number >> 64 & 0xFFFF_FFFF), IPv4Address(int(low) ^ 0xFFFF_FFFF))
    is_isatap = (number >> 32 & 0xFFFF_FFFF) & ~_UNIVERSAL == _ISATAP
    if is_isatap or address in COMPATIBLE or address in TRANSLATED:
        return (address, low)
    return (address,)


def special(address: Address) -> str:
    """What kind of special network this very address is in; empty where it is a public one."""
    if isinstance(address, IPv4Address):
        return next((rule for network, rule in SPECIAL_V4.items() if address in network), "")
    found = next((rule for network, rule in SPECIAL_V6.items() if address in network), "")
    return found or ("" if address in GLOBAL_V6 else "not global unicast")


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks as people write them, `10.0.0.0/8` or an address alone. `ValueError` for what is none."""
    return tuple(ip_network(text) for text in texts)


def _within(address: Address, among: Collection[Network]) -> bool:
    return any(address in network for network in among)
