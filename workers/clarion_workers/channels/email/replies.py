"""What replies mean: the extensions a server offers, and the outcome a refusal is."""

from __future__ import annotations

from dataclasses import dataclass

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import PermanentFailure, TransientFailure
from clarion_workers.channels.email.wire import shown

CLOSING = 421  # RFC 5321 §3.8: the server closes the connection, whatever was asked
_CREDENTIALS = frozenset({530, 534, 535, 538})  # RFC 4954 §6: it wants, or does not like, our authentication

Refusal = TransientFailure | PermanentFailure


@dataclass(frozen=True, slots=True)
class Offers:
    """What a server said it can (RFC 5321 §4.1.1.1). `size` is octets a message may have, 0 where it names none;
    `deliver_by` the least seconds a message must be given (RFC 2852), 0 where it names none. None: not offered.
    """

    pipelining: bool = False
    eight_bit: bool = False
    smtputf8: bool = False
    starttls: bool = False
    size: int | None = None
    deliver_by: int | None = None
    auth: frozenset[str] = frozenset()


def parse_offers(text: bytes) -> Offers:
    """The extensions in the reply to EHLO: one a line after the first."""
    found: dict[str, list[str]] = {}
    for line in text.decode("ascii", "replace").upper().split("\n")[1:]:
        # Old servers announce AUTH=LOGIN, beside or instead of AUTH LOGIN.
        keyword, *parameters = line.replace("AUTH=", "AUTH ", 1).split() or [""]
        found.setdefault(keyword, []).extend(parameters)
    return Offers(
        pipelining="PIPELINING" in found,
        eight_bit="8BITMIME" in found,
        smtputf8="SMTPUTF8" in found,
        starttls="STARTTLS" in found,
        size=_limit(found.get("SIZE")),
        deliver_by=_limit(found.get("DELIVERBY")),
        auth=frozenset(found.get("AUTH", ())),
    )


def _limit(parameters: list[str] | None) -> int | None:
    if parameters is None:
        return None
    return int(parameters[0]) if parameters and parameters[0].isdigit() else 0


def refusal(code: int, text: bytes, permanent: Reason) -> Refusal:
    """The outcome of a reply that refuses a message: 4yz for now, 5yz for good (RFC 5321 §4.2.1).

    A 5yz about credentials is a wrong setting of ours, which must not cost a recipient the message.
    """
    detail = shown(code, text)
    if code in _CREDENTIALS:
        return TransientFailure(reason=Reason.PROVIDER_CREDENTIALS, detail=detail)
    if 500 <= code < 600:
        return PermanentFailure(reason=permanent, detail=detail)
    return TransientFailure(reason=Reason.PROVIDER_DEFERRED, detail=detail)
