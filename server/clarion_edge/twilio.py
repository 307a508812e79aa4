"""Twilio: status callbacks, and answers to messages (twilio.com/docs/usage/security and …/messaging/guides)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from clarion_core.domain.bounce import BounceCategory
from clarion_core.domain.feedback import Fact, FactKind
from clarion_core.domain.keywords import Keyword
from clarion_core.domain.medium import Channel
from clarion_edge.forms import fields
from clarion_edge.receipt import Answered, Forged, Receipt, Request, Told
from clarion_edge.vocabulary import Vocabulary

DELIVERY = "delivery"
"""The query parameter that names the delivery."""

_OPTED_OUT = "21610"
_C = BounceCategory
# twilio.com/docs/api/errors; what is not here says nothing of the number.
CATEGORIES: Mapping[str, BounceCategory] = {
    "21211": _C.INVALID_RECIPIENT,
    "21614": _C.INVALID_RECIPIENT,
    "21635": _C.INVALID_RECIPIENT,
    _OPTED_OUT: _C.RECIPIENT_REFUSED,
    "30001": _C.TRANSIENT,  # our queue is full
    "30002": _C.GENERIC,  # our account is suspended
    "30003": _C.SOFT,  # the handset can't be reached: off, or without a network
    "30004": _C.POLICY,  # blocked
    "30005": _C.INVALID_RECIPIENT,  # unknown, or no longer there
    "30006": _C.INVALID_RECIPIENT,  # a landline
    "30007": _C.SPAM_BLOCK,  # filtered
    "30008": _C.UNDETERMINED,
    "30009": _C.TRANSIENT,  # a segment got lost
    "30010": _C.GENERIC,  # dearer than we allow
    "30034": _C.POLICY,  # the sender is not registered
    "30036": _C.TIMEOUT,
    "30410": _C.TRANSIENT,
}


class TwilioSource:
    """Takes what Twilio posts, if it is signed with the account's auth token."""

    def __init__(self, name: str, auth_token: str, *, workspaces: tuple[str, ...], vocabulary: Vocabulary) -> None:
        self._name, self._token = name, auth_token.encode()
        self._workspaces, self._vocabulary = workspaces, vocabulary

    async def read(self, request: Request) -> Told:
        """What a callback tells, or what somebody wrote. `Forged`, `Malformed`."""
        told = fields(request.body)
        given = request.headers.get("x-twilio-signature", "").encode(errors="replace")
        fits = [
            hmac.compare_digest(signature(self._token, url, told).encode(), given) for url in _spellings(request.url)
        ]
        if not any(fits):
            raise Forged("a signature that does not fit")
        values = dict(told)
        status = values.get("MessageStatus") or values.get("SmsStatus", "")
        if status == "received" or (not status and "Body" in values):
            return await self._answer(values)
        delivery = dict(parse_qsl(request.query)).get(DELIVERY, "")
        fact = _fact(status, values.get("ErrorCode", ""), self._name)
        if not fact or not delivery:
            return ()
        return [Receipt(delivery_id=delivery, fact=fact, unsubscribed=fact.code == _OPTED_OUT)]

    async def close(self) -> None:
        """There is nothing to let go of."""

    async def _answer(self, values: Mapping[str, str]) -> Told:
        """What somebody wrote. Where Twilio looks after STOP itself, it says what it took it for."""
        taken_for = _WORDS.get(values.get("OptOutType", "").upper())
        if taken_for:
            meant: Mapping[str, Keyword | None] = dict.fromkeys(self._workspaces, taken_for)
        else:
            account, text = values.get("AccountSid", ""), values.get("Body", "")
            meant = await self._vocabulary.meanings(self._workspaces, account, text)
        told = []
        for keyword in (Keyword.STOP, Keyword.START):
            if whose := tuple(workspace for workspace, said in meant.items() if said is keyword):
                stop, address = keyword is Keyword.STOP, values.get("From", "")
                told.append(Answered(channel=Channel.SMS, address=address, stop=stop, workspaces=whose))
        return told


def signature(token: bytes, url: str, told: Sequence[tuple[str, str]]) -> str:
    """What stands in X-Twilio-Signature: the URL as Twilio has it, and the fields in the order of their names."""
    signed = url + "".join(name + value for name, value in sorted(set(told)))
    return base64.b64encode(hmac.new(token, signed.encode(errors="surrogatepass"), hashlib.sha1).digest()).decode()


def _spellings(url: str) -> tuple[str, str]:
    """A URL with its port and without: Twilio signs the one or the other, as its own libraries know."""
    parts = urlsplit(url)
    host, _, port = parts.netloc.rpartition(":")
    if not port.isdecimal():
        return url, parts._replace(netloc=f"{parts.netloc}:{443 if parts.scheme == 'https' else 80}").geturl()
    return url, parts._replace(netloc=host).geturl()


_WORDS = {keyword.value: keyword for keyword in Keyword}


def _fact(status: str, error: str, provider: str) -> Fact | None:
    match status:
        case "delivered" | "read":
            return Fact(kind=FactKind.DELIVERED, provider=provider)
        case "undelivered" | "failed":
            category = CATEGORIES.get(error, BounceCategory.UNDETERMINED)
            return Fact(kind=FactKind.BOUNCED, provider=provider, category=category, code=error or status)
    return None
