"""Addresses of the web, read in one strict way: what is understood here is what is called.

Programs read doubtful URLs differently, and that is what attacks on them are made of. So nothing is guessed or
repaired: whatever RFC 3986 does not have, or has in several readings, is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import unquote

import idna

MAX_CHARACTERS = 2048
PORTS = {"https": 443, "http": 80}

_PARTS = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?]*)(?P<target>.*)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::(?P<port>[1-9][0-9]{0,4}))?", re.ASCII)
# Brackets besides, which RFC 3986 has encoded and many APIs write plainly.
_TARGET = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]]|%[0-9A-Fa-f]{2})*", re.ASCII)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Url:
    """An http or https address in its normal form; without slots, since one is read once and called often.

    `host` is in ASCII and lower case, `address` is it where it is an IP address; `target` is path and query as written.
    """

    scheme: str
    host: str
    port: int
    target: str
    address: IPv4Address | IPv6Address | None = None

    @cached_property
    def origin(self) -> str:
        """Scheme, host and port: `https://hooks.example.com:443`."""
        return f"{self.scheme}://{self._netloc}:{self.port}"

    @cached_property
    def path(self) -> str:
        """The path, at least a slash."""
        return self.target.partition("?")[0]

    @cached_property
    def text(self) -> str:
        """The address written out."""
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self._netloc}{port}{self.target}"

    @property
    def _netloc(self) -> str:
        return f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host


@lru_cache(maxsize=8192)
def read_url(text: str) -> Url:
    """The address, or `ValueError` with what is wrong with it, never repeating any of it."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"has more than {MAX_CHARACTERS} characters")
    if not text.isprintable() or " " in text or "\\" in text:
        raise ValueError("has spaces, control characters or backslashes")
    if "#" in text:
        raise ValueError("has a fragment, which nobody would be sent")
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise ValueError("does not begin with https://")
    scheme, target = parts["scheme"].lower(), parts["target"]
    host, port = _authority(parts["authority"])
    if not _TARGET.fullmatch(target):
        raise ValueError("has a path or query with characters that must be percent-encoded")
    if not target.startswith("/"):
        target = "/" + target
    if _climbs(target.partition("?")[0]):
        raise ValueError("has . or .. as a part of its path")
    address = _address(host)
    return Url(
        scheme=scheme,
        host=str(address) if address else _name(host),
        port=port or PORTS[scheme],
        target=target,
        address=address,
    )


def read_https(text: str) -> Url:
    """As `read_url`, of an https address alone."""
    url = read_url(text)
    if url.scheme != "https":
        raise ValueError("does not begin with https://")
    return url


def _authority(authority: str) -> tuple[str, int]:
    """Host and port, 0 for none."""
    if "@" in authority:
        raise ValueError("has a user name or password")
    if "%" in authority:
        raise ValueError("has a percent sign in its host")
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise ValueError("has no host, or a port that is none")
    port = int(match["port"] or 0)
    if port > 65_535:
        raise ValueError("has a port above 65535")
    return match["host"], port


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The host as an IP address; None where it is a name. IPv4 is four decimal numbers and nothing else."""
    try:
        if host.startswith("["):
            return IPv6Address(host[1:-1])
        if _NUMERIC.fullmatch(host.rpartition(".")[2].lower()):
            return IPv4Address(host)
    except AddressValueError:
        raise ValueError("has an IP address in a form that is not understood") from None
    return None


def _name(host: str) -> str:
    """A host's name in ASCII (RFC 5891), in lower case."""
    try:
        labels = [_label(label) for label in host.split(".")]
    except (idna.IDNAError, UnicodeError):
        raise ValueError("has a host that is no domain name") from None
    name = ".".join(labels)
    if len(name) > 253:
        raise ValueError("has a host that is too long")
    return name


def _label(label: str) -> str:
    # Lower case is ASCII's alone: the Kelvin sign would become a k.
    written = label.lower() if label.isascii() else idna.alabel(label).decode()
    if not _LABEL.fullmatch(written):
        raise idna.IDNAError
    if written.startswith("xn--"):
        idna.ulabel(written)  # raises for what encodes nothing
    return written


def _climbs(path: str) -> bool:
    """Whether a server could read `.` or `..` in this path, plain or percent-encoded."""
    return any(part in {".", ".."} for part in re.split(r"[/\\]", unquote(path)))
