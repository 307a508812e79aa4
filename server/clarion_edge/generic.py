"""Any provider that calls a URL: what it sends is described, not programmed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

import msgspec

from clarion_core import pointer
from clarion_core.domain.bounce import BounceCategory, of_enhanced
from clarion_core.domain.feedback import Fact, FactKind
from clarion_edge.configuration import HttpCallbackPart
from clarion_edge.forms import fields
from clarion_edge.moments import milliseconds
from clarion_edge.receipt import Forged, Malformed, Receipt, Request, Told

_ITEMS_MAX = 1_000


class HttpSource:
    """Takes what a provider sends, as a configuration describes it."""

    def __init__(self, name: str, part: HttpCallbackPart, secret: str) -> None:
        self._name, self._part, self._secret = name, part, secret.encode()

    async def read(self, request: Request) -> Told:
        """What the provider tells. `Forged`, `Malformed`."""
        if not self._believes(request):
            raise Forged("a secret or signature that does not fit")
        document = _document(request)
        items = pointer.look(document, self._part.items) if self._part.items else [document]
        if not isinstance(items, list) or len(items) > _ITEMS_MAX:
            raise Malformed("no list of receipts")
        found = [self._receipt(item) for item in items]
        return [receipt for receipt in found if receipt]

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _believes(self, request: Request) -> bool:
        part = self._part
        if part.signature and not request.body:
            return False  # the signature is of the body, and says nothing of a query
        if part.signature:
            digest = hmac.new(self._secret, request.body, getattr(hashlib, part.signature.algorithm)).digest()
            shown = digest.hex() if part.signature.encoding == "hex" else base64.b64encode(digest).decode()
            expected = part.signature.prefix + shown
            given = request.headers.get(part.signature.header.lower(), "")
            return hmac.compare_digest(expected.encode(), given.encode(errors="replace"))
        given = request.headers.get(part.secret_header.lower(), "") if part.secret_header else request.key
        return hmac.compare_digest(self._secret, given.encode(errors="replace"))

    def _receipt(self, item: object) -> Receipt | None:
        part = self._part
        delivery, word = pointer.text(item, part.delivery), pointer.text(item, part.status)
        meaning, code = part.statuses.get(word, "ignored"), pointer.text(item, part.code)
        if not delivery or meaning == "ignored":
            return None
        fact = Fact(
            kind=_KINDS.get(meaning, FactKind.BOUNCED),
            time_ms=milliseconds(pointer.text(item, part.time)),
            provider=self._name,
            category=None if meaning in _KINDS else self._category(meaning, code),
            code=code or word,
            detail=pointer.text(item, part.detail),
        )
        return Receipt(delivery_id=delivery, fact=fact)

    def _category(self, meaning: str, code: str) -> BounceCategory:
        """By the provider's code, by the word, or by an enhanced status code (RFC 3463)."""
        if code in self._part.codes:
            return BounceCategory(self._part.codes[code].upper())
        return of_enhanced(code) if meaning == "bounced" else BounceCategory(meaning.upper())


_KINDS: Mapping[str, FactKind] = {
    "delivered": FactKind.DELIVERED,
    "deferred": FactKind.DEFERRED,
    "complained": FactKind.COMPLAINED,
}


def _document(request: Request) -> object:
    """The body as JSON, or a form as a flat mapping; without a body the query, the same way."""
    if not request.body:
        return dict(fields(request.query.encode()))
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(fields(request.body))
    try:
        return msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("no JSON") from None
