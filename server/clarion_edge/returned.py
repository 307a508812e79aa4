"""Mail that came back: delivery reports (RFC 3464), complaints (RFC 5965), and what is neither.

Anybody may send it, so anything may be in it. Nothing here raises for what it is given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.policy import Compat32
from email.utils import parseaddr
from itertools import islice

from clarion_core.domain.bounce import BounceCategory, of_enhanced
from clarion_core.domain.feedback import Fact, FactKind
from clarion_edge.moments import milliseconds

PARTS_MAX = 200
# The parser looks at each line once for every multipart that is open: without bounds, a megabyte takes it a minute.
LINES_MAX = 20_000
MULTIPARTS_MAX = 50
_FIELD_MAX, _FROM_MAX = 4_000, 400
_LINE_END = re.compile(rb"\r\n?|\n")
_MULTIPART = re.compile(rb"multipart/", re.IGNORECASE)
_ENHANCED = re.compile(r"(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.])")
_WORD = re.compile(r"[a-z-]+")
_REPLY = re.compile(r"(?:\A|[\s;])([45]\d\d)(?=[\s-]|\Z)")
# RFC 5321 §4.2.3. A 550 is for whatever reason, so it says nothing.
_REPLIES = {
    "551": BounceCategory.INVALID_RECIPIENT,
    "552": BounceCategory.MAILBOX_FULL,
    "553": BounceCategory.INVALID_RECIPIENT,
    "452": BounceCategory.MAILBOX_FULL,
}
_KINDS = {"failed": FactKind.BOUNCED, "delayed": FactKind.DEFERRED, "delivered": FactKind.DELIVERED}
_NO_COMPLAINTS = ("not-spam", "auth-failure")  # RFC 5965 §7.3, RFC 6591
_DAEMONS = ("mailer-daemon", "postmaster", "mail-daemon", "mdaemon")


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """A message that came back. `fact` is None for what is none: an automatic answer, or somebody's reply.

    `bounce_addresses`: those that a complaint names as where the message came from; who they are is to be checked.
    """

    fact: Fact | None = None
    bounce_addresses: tuple[str, ...] = ()


NOTHING = Returned()


class _Short(Compat32):
    """How a message is parsed: no field is longer than what anybody has to say in one."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        """A field's name and value (email)."""
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_FIELD_MAX]


_SHORT = _Short()


def read(content: bytes, *, sender: str, provider: str) -> Returned:
    """What a message that came to a bounce address tells. `sender` is the envelope's: a report's is empty."""
    content = _beginning(content)
    try:
        if len(list(islice(_MULTIPART.finditer(content), MULTIPARTS_MAX + 1))) <= MULTIPARTS_MAX:
            return _read(message_from_bytes(content, policy=_SHORT), sender, provider)
    except RecursionError:
        pass
    return _unreadable(provider) if not sender else NOTHING  # parts within parts, and no report


def _beginning(content: bytes) -> bytes:
    """As many lines as are read: what a report tells stands before the message that it is about."""
    end = next(islice(_LINE_END.finditer(content), LINES_MAX, None), None)
    return content[: end.start()] if end else content


def _read(message: Message, sender: str, provider: str) -> Returned:
    parts = _parts(message)
    for part in parts:
        match part.get_content_type():
            case "message/delivery-status":
                return Returned(fact=_status(part, provider))
            case "message/feedback-report":
                return _complaint(part, parts, provider)
            case "message/disposition-notification":  # RFC 8098: it was read
                return NOTHING
    if sender or _is_automatic(message):
        return NOTHING
    return _unreadable(provider)


def _unreadable(provider: str) -> Returned:
    """It came back, in a form that only people can read."""
    return Returned(fact=Fact(kind=FactKind.BOUNCED, provider=provider, category=BounceCategory.UNDETERMINED))


def _parts(message: Message) -> list[Message]:
    found = []
    for part in message.walk():
        found.append(part)
        if len(found) == PARTS_MAX:
            break
    return found


def _value(message: Message, name: str) -> str:
    return " ".join(str(message.get(name) or "").split())


def _status(part: Message, provider: str) -> Fact | None:
    """The first recipient that something is told of: a bounce address is of one."""
    blocks = part.get_payload()
    for block in blocks if isinstance(blocks, list) else []:
        if isinstance(block, Message) and (action := _value(block, "Action").lower()):
            kind = _KINDS.get(action)
            return _told(block, kind, provider) if kind else None  # relayed, expanded: nobody knows more
    return Fact(kind=FactKind.BOUNCED, provider=provider, category=BounceCategory.UNDETERMINED)


def _told(block: Message, kind: FactKind, provider: str) -> Fact:
    status, said = _value(block, "Status"), _value(block, "Diagnostic-Code")
    words = said.partition(";")[2].strip() or said
    return Fact(
        kind=kind,
        time_ms=milliseconds(_value(block, "Last-Attempt-Date")),
        provider=provider,
        category=_category(status, words) if kind is FactKind.BOUNCED else None,
        code=_code(status, words),
        detail=words,
    )


def _category(status: str, words: str) -> BounceCategory:
    """By the status; where that says nothing, by a code in the words, at last by the reply of SMTP."""
    found = of_enhanced(status)
    if found is BounceCategory.UNDETERMINED and (code := _ENHANCED.search(words)):
        found = of_enhanced(code[0])
    if found is BounceCategory.UNDETERMINED and (reply := _REPLY.search(words)):
        found = _REPLIES.get(reply[1], found)
    return found


def _code(status: str, words: str) -> str:
    """The code that says most."""
    if of_enhanced(status) is BounceCategory.UNDETERMINED and (code := _ENHANCED.search(words)):
        return code[0]
    return status.partition(" ")[0]


def _complaint(part: Message, parts: list[Message], provider: str) -> Returned:
    inner = part.get_payload()
    fields = inner[0] if isinstance(inner, list) and inner and isinstance(inner[0], Message) else part
    kind = _value(fields, "Feedback-Type").lower()
    if kind in _NO_COMPLAINTS:
        return NOTHING
    came_from = [_value(fields, "Original-Mail-From"), *(_value(each, "Return-Path") for each in parts)]
    fact = Fact(
        kind=FactKind.COMPLAINED,
        time_ms=milliseconds(_value(fields, "Arrival-Date") or _value(fields, "Received-Date")),
        provider=provider,
        code=kind,
    )
    return Returned(fact=fact, bounce_addresses=tuple(dict.fromkeys(filter(None, came_from))))


def _is_automatic(message: Message) -> bool:
    """An answer that a machine gives for a person (RFC 3834), and not one of the mail system."""
    if parseaddr(_value(message, "From")[:_FROM_MAX])[1].partition("@")[0].lower() in _DAEMONS:
        return False
    submitted = _WORD.match(_value(message, "Auto-Submitted").lower())
    told = [name for name in ("X-Autoreply", "X-Autorespond", "X-Autoresponder") if message.get(name)]
    answers = submitted is not None and submitted[0] == "auto-replied"
    return answers or bool(told) or _value(message, "Precedence").lower() == "auto_reply"
