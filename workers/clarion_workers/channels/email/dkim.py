"""DKIM signatures (RFC 6376, RFC 8301, RFC 8463): relaxed/relaxed, by RSA, by Ed25519, or by both.

A signature covers octets that servers must not change on the way, so what is signed is 7 bit (RFC 6376 §5.3): who
signs builds it so. `dkimpy` verifies them in the tests.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from clarion_core.configuration.dkim import SigningKey

OVERSIGNED = (
    "from", "reply-to", "to", "cc", "subject", "date", "message-id", "mime-version", "content-type",
)  # fmt: skip
"""Signed once more than they stand there, so that nobody can add one (RFC 6376 §8.15): what a reader goes by."""

SIGNED = (
    "content-transfer-encoding", "sender", "references", "list-unsubscribe", "list-unsubscribe-post", "list-id",
    "feedback-id", "auto-submitted",
)  # fmt: skip
"""Signed where they stand. RFC 8058 §4 asks it of the List-Unsubscribe fields, Gmail of Feedback-ID."""

_LINE = 76  # characters of a folded line
_LOOSE = (b"  ", b"\t", b" \r\n")  # white space that is not relaxed
_LINES_KEPT = 1 << 21  # octets of body lines, as they stand and relaxed, that are kept
_LINES_UP_TO = 1 << 18  # a longer body is mostly files, whose lines nobody sees again
_PADDING, _SHA256 = PKCS1v15(), SHA256()


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A private key, and under which selector of which domain its public half is found."""

    domain: str
    selector: str
    private: SigningKey

    @property
    def algorithm(self) -> str:
        """As the `a=` tag names it."""
        return "ed25519-sha256" if isinstance(self.private, Ed25519PrivateKey) else "rsa-sha256"

    def sign(self, data: bytes) -> bytes:
        """The signature of the data, in base64."""
        if isinstance(self.private, Ed25519PrivateKey):
            signature = self.private.sign(hashlib.sha256(data).digest())  # RFC 8463 §3: of the hash
        else:
            signature = self.private.sign(data, _PADDING, _SHA256)
        return b2a_base64(signature, newline=False)


class Signer:
    """Signs the mail of one domain, with each of its keys."""

    def __init__(self, keys: Iterable[Key], *, unsigned: Iterable[str] = ()) -> None:
        """`unsigned`: fields, in lower case, that the provider sets itself, whatever the message says."""
        self._keys = tuple(keys)
        left_out = frozenset(unsigned)
        self._oversigned = tuple(name for name in OVERSIGNED if name not in left_out)
        self._signed = tuple(name for name in SIGNED if name not in left_out)

    def fields(self, content: bytes, time_s: int) -> bytes:
        """The DKIM-Signature fields to put before this message, one a key.

        The message has CRLF line ends and no other CR or LF, and no control characters in its header fields.
        """
        head, _, body = content.partition(b"\r\n\r\n")
        names, covered = self._covered(head)
        body_hash = b2a_base64(hashlib.sha256(relaxed_body(body)).digest(), newline=False).decode()
        return b"".join(self._field(key, names, covered, body_hash, time_s) for key in self._keys)

    def _field(self, key: Key, names: tuple[str, ...], covered: bytes, body_hash: str, time_s: int) -> bytes:
        field = (
            f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed;\r\n d={key.domain};\r\n s={key.selector};"
            f" t={time_s};\r\n h={_listed(names)};\r\n bh={body_hash};\r\n b="
        )
        # Signed with an empty b=, and without the CRLF at its end (RFC 6376 §3.7).
        canonical = "dkim-signature:" + field.partition(": ")[2].replace("\r\n", "")
        signature = key.sign(covered + canonical.encode()).decode()
        return (field + _folded(signature) + "\r\n").encode()

    def _covered(self, head: bytes) -> tuple[tuple[str, ...], bytes]:
        """The names in `h=`, and what they stand for, canonical: of several fields of a name, the last comes first."""
        fields: dict[str, list[bytes]] = {}
        for line in head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
            found, _, value = line.partition(b":")
            lower = found.rstrip(b" \t").lower()
            fields.setdefault(lower.decode("ascii", "replace"), []).append(lower + b":" + _squeezed(value).strip(b" "))
        names: list[str] = []
        lines: list[bytes] = []
        for name in (*self._oversigned, *self._signed):
            stand = fields.get(name, ())
            names += [name] * (len(stand) + (name in self._oversigned))
            lines += reversed(stand)
        return tuple(names), b"\r\n".join((*lines, b""))


class Signers:
    """The signers of all domains that have keys."""

    def __init__(self, keys: Sequence[Key], *, unsigned: Iterable[str] = ()) -> None:
        """`unsigned` as a `Signer`'s."""
        domains = {key.domain.lower() for key in keys}
        self._signers: Mapping[str, Signer] = {
            domain: Signer((key for key in keys if key.domain.lower() == domain), unsigned=unsigned)
            for domain in domains
        }

    def of(self, domain: str) -> Signer | None:
        """The signer for mail from this domain: its own, or the nearest parent's, which DMARC takes for aligned."""
        labels = domain.lower().split(".")
        parents = (".".join(labels[start:]) for start in range(len(labels)))
        return next((self._signers[parent] for parent in parents if parent in self._signers), None)


def relaxed_body(body: bytes) -> bytes:
    """A body in relaxed form (RFC 6376 §3.4.4): white space as one space, none at a line's end, no empty last lines.

    The body ends with CRLF.
    """
    if any(white in body for white in _LOOSE):
        if len(body) <= _LINES_UP_TO:
            body = b"\r\n".join(map(_relaxed_lines.line, body.split(b"\r\n")))
        else:
            body = _squeezed(body).replace(b" \r\n", b"\r\n")
    body = body.rstrip(b"\r\n")
    return body + b"\r\n" if body else b""


class _RelaxedLines(dict[bytes, bytes]):
    """Lines and their relaxed form: most are the same in all of a campaign's messages, and looking one up is cheap."""

    def __init__(self) -> None:
        self._size = 0
        self.line = self.__getitem__

    def __missing__(self, line: bytes) -> bytes:
        relaxed = _squeezed(line).rstrip(b" ")
        self._size += 2 * len(line)
        if self._size > _LINES_KEPT:
            self.clear()
            self._size = 0
        self[line] = relaxed
        return relaxed


_relaxed_lines = _RelaxedLines()


def _squeezed(data: bytes) -> bytes:
    """Each run of spaces and tabs as one space; some passes of C cost less than one of a regular expression."""
    if b"\t" in data:
        data = data.replace(b"\t", b" ")
    while b"  " in data:
        data = data.replace(b"  ", b" ")
    return data


@lru_cache(maxsize=256)
def _listed(names: tuple[str, ...]) -> str:
    """The names with colons between them, folded."""
    lines, line = [], ""
    for place, name in enumerate(names):
        part = name if place == len(names) - 1 else name + ":"
        if len(line) + len(part) > _LINE - 4:
            lines.append(line)
            line = ""
        line += part
    return "\r\n ".join((*lines, line))


def _folded(signature: str) -> str:
    first = _LINE - len(" b=")
    rest = range(first, len(signature), _LINE - 1)
    return "\r\n ".join((signature[:first], *(signature[at : at + _LINE - 1] for at in rest)))
