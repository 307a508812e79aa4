"""Why a message came back, and what that says about the address: one table for everybody who has to know.

The categories are those of Adobe Journey Optimizer's bounce codes ("Bounce mail qualification", docs); AJO_CODES are
their numbers there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum


class BounceType(StrEnum):
    """What a bounce says about the address."""

    HARD = "HARD"  # nothing will ever arrive there
    SOFT = "SOFT"  # nothing arrives there for now
    NEUTRAL = "NEUTRAL"  # nothing: it was about the message, the sender or the way, or nobody can tell


class BounceCategory(StrEnum):
    """Why a message came back."""

    INVALID_RECIPIENT = "INVALID_RECIPIENT"  # there is no such address
    RECIPIENT_REFUSED = "RECIPIENT_REFUSED"  # there is one, and it takes nothing any more
    SOFT = "SOFT"  # the mailbox or its system, for now
    DNS_FAILURE = "DNS_FAILURE"  # its domain was not found
    MAILBOX_FULL = "MAILBOX_FULL"
    RELAYING_DENIED = "RELAYING_DENIED"  # the server it leads to does not know the domain
    CHALLENGE_RESPONSE = "CHALLENGE_RESPONSE"  # it wants the sender to prove something first
    POLICY = "POLICY"  # not allowed, by a rule of the receiving side
    UNDETERMINED = "UNDETERMINED"
    TOO_LARGE = "TOO_LARGE"
    TIMEOUT = "TIMEOUT"  # tried until its time was over
    NO_RECIPIENT = "NO_RECIPIENT"
    GENERIC = "GENERIC"  # the protocol or the content failed
    MAIL_BLOCK = "MAIL_BLOCK"  # too much at once, from this sender
    SPAM_BLOCK = "SPAM_BLOCK"  # the sender is taken for one of spam
    SPAM_CONTENT = "SPAM_CONTENT"  # the message is taken for spam
    AUTO_REPLY = "AUTO_REPLY"  # no bounce: a machine's answer
    TRANSIENT = "TRANSIENT"  # something on the way


_T, _C = BounceType, BounceCategory
BOUNCE_TYPES: Mapping[BounceCategory, BounceType] = {
    _C.INVALID_RECIPIENT: _T.HARD,
    _C.RECIPIENT_REFUSED: _T.HARD,
    _C.SOFT: _T.SOFT,
    _C.DNS_FAILURE: _T.SOFT,
    _C.MAILBOX_FULL: _T.SOFT,
    _C.RELAYING_DENIED: _T.SOFT,
    _C.CHALLENGE_RESPONSE: _T.SOFT,
    _C.POLICY: _T.NEUTRAL,
    _C.UNDETERMINED: _T.NEUTRAL,
    _C.TOO_LARGE: _T.NEUTRAL,
    _C.TIMEOUT: _T.NEUTRAL,
    _C.NO_RECIPIENT: _T.NEUTRAL,
    _C.GENERIC: _T.NEUTRAL,
    _C.MAIL_BLOCK: _T.NEUTRAL,
    _C.SPAM_BLOCK: _T.NEUTRAL,
    _C.SPAM_CONTENT: _T.NEUTRAL,
    _C.AUTO_REPLY: _T.NEUTRAL,
    _C.TRANSIENT: _T.NEUTRAL,
}
AJO_CODES: Mapping[BounceCategory, int] = {
    _C.INVALID_RECIPIENT: 10,
    _C.RECIPIENT_REFUSED: 15,
    _C.SOFT: 20,
    _C.DNS_FAILURE: 21,
    _C.MAILBOX_FULL: 22,
    _C.RELAYING_DENIED: 54,
    _C.CHALLENGE_RESPONSE: 100,
    _C.POLICY: 25,
    _C.UNDETERMINED: 1,
    _C.TOO_LARGE: 23,
    _C.TIMEOUT: 24,
    _C.NO_RECIPIENT: 30,
    _C.GENERIC: 40,
    _C.MAIL_BLOCK: 50,
    _C.SPAM_BLOCK: 51,
    _C.SPAM_CONTENT: 52,
    _C.AUTO_REPLY: 60,
    _C.TRANSIENT: 70,
}

# Enhanced status codes without their first digit, which says for good or for now. RFC 3463 §3 unless another is named.
_DETAILS: Mapping[str, BounceCategory] = {
    "1.0": _C.RECIPIENT_REFUSED,
    "1.1": _C.INVALID_RECIPIENT,
    "1.2": _C.INVALID_RECIPIENT,
    "1.3": _C.INVALID_RECIPIENT,
    "1.4": _C.INVALID_RECIPIENT,
    "1.6": _C.INVALID_RECIPIENT,
    "1.7": _C.POLICY,  # the sender's address, and so is the next
    "1.8": _C.POLICY,
    "1.9": _C.GENERIC,  # RFC 3886: relayed to a system that sends no reports
    "1.10": _C.INVALID_RECIPIENT,  # RFC 7505: the domain takes no mail
    "2.1": _C.RECIPIENT_REFUSED,
    "2.2": _C.MAILBOX_FULL,
    "2.3": _C.TOO_LARGE,
    "3.4": _C.TOO_LARGE,
    "4.3": _C.DNS_FAILURE,
    "4.4": _C.DNS_FAILURE,
    "4.7": _C.TIMEOUT,
    "7.13": _C.RECIPIENT_REFUSED,  # RFC 5248: the account is disabled
    "7.17": _C.RECIPIENT_REFUSED,  # RFC 7293: the mailbox has another owner now
    "7.18": _C.RECIPIENT_REFUSED,  # RFC 7293: the domain has
    "7.28": _C.MAIL_BLOCK,  # the registry of RFC 5248: a flood of mail
}
_SUBJECTS: Mapping[str, BounceCategory] = {
    "2": _C.SOFT,  # the mailbox
    "3": _C.SOFT,  # its mail system
    "4": _C.TRANSIENT,  # network and routing
    "5": _C.GENERIC,  # the protocol
    "6": _C.GENERIC,  # content or media
    "7": _C.POLICY,
}
_FOR_NOW = {_C.INVALID_RECIPIENT: _C.SOFT, _C.RECIPIENT_REFUSED: _C.SOFT}
"""What is against an address for good is so only where the code begins with a 5."""

_ENHANCED = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})(?!\d)")


def of_enhanced(code: str) -> BounceCategory:
    """The category of an enhanced status code (RFC 3463): `5.1.1`; what may follow it does not matter.

    UNDETERMINED for what is none, for success, and for a code that says nothing (`5.0.0`).
    """
    found = _ENHANCED.match(code)
    if not found or found[1] == "2":
        return BounceCategory.UNDETERMINED
    subject = str(int(found[2]))
    category = _DETAILS.get(f"{subject}.{int(found[3])}") or _SUBJECTS.get(subject, BounceCategory.UNDETERMINED)
    return _FOR_NOW.get(category, category) if found[1] == "4" else category
