"""What replies mean: the extensions a server offers, and the outcome a refusal is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clarion_core.domain.bounce import of_enhanced
from clarion_core.domain.delivery import Reason
from clarion_core.domain.medium import Channel
from clarion_core.domain.outcome import AddressFact, PermanentFailure, TransientFailure
from clarion_core.domain.suppression import fact_of_bounce
from clarion_workers.channels.email.wire import shown

CLOSING = 421  # RFC 5321 §3.8: the server closes the connection, whatever was asked
_CREDENTIALS = frozenset({530, 534, 535, 538})  # RFC 4954 §6: it wants, or does not like, our authentication
_ENHANCED = re.compile(rb"([245])\.(\d{1,3})\.\d{1,3}\b")  # RFC 2034 §4: at the beginning of the text
_IN_BRACKETS = re.compile(rb"\(#([245])\.(\d{1,3})\.\d{1,3}\)")  # qmail's place for it
_MAILBOX, _MAIL_SYSTEM = b"2", b"3"
# A server that does not know us yet wants us to come again (RFC 6647 §2.3): in words, or by 4.7.1 to RCPT.
_GREY_CODES = frozenset({450, 451})
_GREY_WORDS = re.compile(rb"gr[ae]y-?\s?list", re.IGNORECASE)
_GREY_ENHANCED = re.compile(rb"4\.7\.1\b")
_GREY_WAIT = re.compile(rb"\b(\d{1,5})\s*(s|sec|seconds?|m|mins?|minutes?)\b", re.IGNORECASE)
_GREY_S, _GREY_LEAST_S, _GREY_MOST_S = 300.0, 60.0, 86_400.0  # usual is 5 minutes; RFC 6647 §4: 1 minute to 24 hours
# What servers call a message that they took: Postfix and its like, Exim, Sendmail and OpenSMTPD, Exchange, Haraka,
# Amazon SES, Gmail.
_QUEUE_ID = re.compile(
    rb"queued as ([\w.-]{1,128})|\bid=([\w.-]{1,128})|([\w.-]{1,128}) message accepted for delivery"
    rb"|InternalId=(\d{1,30})|message queued \(([\w.-]{1,128})\)|^ok:? ([0-9a-f]{8,32}(?:-[0-9a-f]+){3,6})$"
    rb"|\bok\s+\d+ ([\w.-]{1,100}) - gsmtp",
    re.IGNORECASE,
)

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
    dsn: bool = False
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
        dsn="DSN" in found,
        size=_limit(found.get("SIZE")),
        deliver_by=_limit(found.get("DELIVERBY")),
        auth=frozenset(found.get("AUTH", ())),
    )


def _limit(parameters: list[str] | None) -> int | None:
    if parameters is None:
        return None
    return int(parameters[0]) if parameters and parameters[0].isdigit() else 0


def refusal(code: int, text: bytes, *, of_recipient: bool = False) -> Refusal:
    """The outcome of a reply that refuses a message: 4yz for now, 5yz for good (RFC 5321 §4.2.1).

    `of_recipient`: the reply is to RCPT. Then, or where its enhanced code says so, it is about the recipient; else a
    4yz is about the provider and a 5yz about the message. A 5yz about credentials is a wrong setting of ours, which
    must not cost a recipient the message.
    """
    detail = shown(code, text)
    if code in _CREDENTIALS:
        return TransientFailure(reason=Reason.PROVIDER_CREDENTIALS, detail=detail)
    of_recipient = _is_about_recipient(code, text, of_recipient)
    fact = _address_fact(code, text) if of_recipient else None
    if 500 <= code < 600:
        reason = Reason.RECIPIENT_REFUSED if of_recipient else Reason.MESSAGE_REFUSED
        return PermanentFailure(reason=reason, detail=detail, address_fact=fact)
    if (wait_s := _greylisted_s(code, text, of_recipient)) is not None:  # which says nothing of the address
        return TransientFailure(reason=Reason.RECIPIENT_DEFERRED, detail=detail, retry_after_s=wait_s)
    return TransientFailure(
        reason=Reason.RECIPIENT_DEFERRED if of_recipient else Reason.PROVIDER_DEFERRED,
        detail=detail,
        address_fact=fact,
    )


def queue_id(text: bytes) -> str:
    """What the server calls a message that it took, as far as its reply tells; else nothing."""
    found = _QUEUE_ID.search(text)
    return next((group for group in found.groups() if group), b"").decode() if found else ""


def _address_fact(code: int, text: bytes) -> AddressFact | None:
    """What a refusal of the recipient says of the address itself: nothing without an enhanced code.

    A 550 alone may be a policy's (RFC 5321 §4.2.2), and what a policy refuses may be a perfect address.
    """
    found = _ENHANCED.match(text) or _IN_BRACKETS.search(text)
    if not found or int(found[1]) != code // 100:
        return None
    return fact_of_bounce(of_enhanced(found[0].decode().strip("#()")), Channel.EMAIL, receipt=False)


def _greylisted_s(code: int, text: bytes, of_recipient: bool) -> float | None:
    """How long to stay away, where the reply is greylisting: as long as it says, within reason, or 5 minutes."""
    if code not in _GREY_CODES:
        return None
    if not _GREY_WORDS.search(text) and not (of_recipient and _GREY_ENHANCED.match(text)):
        return None
    wait = _GREY_WAIT.search(text)
    if not wait:
        return _GREY_S
    said_s = float(wait[1]) * (60 if wait[2][:1] in b"mM" else 1)
    return min(max(said_s, _GREY_LEAST_S), _GREY_MOST_S)


def _is_about_recipient(code: int, text: bytes, of_recipient: bool) -> bool:
    """Whether a refusal is about the recipient, as far as the subject of its enhanced code tells (RFC 3463 §3).

    There is no subject for "too many, too fast": providers say that in words, or by 421, so a limit of rate is a
    refusal like others.
    """
    if code == CLOSING or not 400 <= code < 600:
        return False
    found = _ENHANCED.match(text)
    subject = found[2] if found and int(found[1]) == code // 100 else b""
    if subject == _MAILBOX:  # full, or disabled: also where it is found out after the content
        return True
    # To RCPT, a lookup that failed or a full disk is the server's trouble, and everybody's.
    return of_recipient and not (subject == _MAIL_SYSTEM and code < 500)
