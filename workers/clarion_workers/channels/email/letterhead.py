"""What all mail of a channel shares, ready for use: keys are parsed and secrets read once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from clarion_core import verp
from clarion_core.configuration.channels import EmailPart
from clarion_core.configuration.dkim import signing_key
from clarion_core.configuration.letterhead import DELIVERY, UnsubscribePart
from clarion_workers.channels.email.dkim import Key, Signers
from clarion_workers.channels.kind import Opening


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounces:
    """Where bounces come back to."""

    domain: str
    secret: bytes

    def address(self, delivery_id: str) -> str:
        """The envelope sender of a delivery. `verp.VerpRefused` where its id fits in none."""
        return verp.encode(delivery_id, self.domain, self.secret)

    @property
    def copies(self) -> str:
        """The envelope sender of copies."""
        return f"{verp.COPY}@{self.domain}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribing:
    """How to unsubscribe; `{delivery}` stands for the delivery's id. Either may be empty."""

    url: str = ""
    mailto: str = ""

    def ways(self, delivery_id: str) -> tuple[str, ...]:
        """The URIs for one delivery, the one to be preferred first (RFC 2369 §2)."""
        return tuple(each.replace(DELIVERY, delivery_id) for each in (self.url, self.mailto) if each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """What a message builder knows besides the message; by default nothing."""

    signers: Signers | None = None
    bounces: Bounces | None = None
    unsubscribing: Unsubscribing = Unsubscribing()
    feedback_sender: str = ""
    sender: str = ""
    reply_to: str = ""


NOTHING_SHARED = Letterhead()


def letterhead_of(opening: Opening, *, unsigned: Iterable[str] = ()) -> Letterhead:
    """The letterhead of the channel that a provider is opened for. `unsigned`: header fields that the provider sets
    itself, in lower case.

    `KeyError`, `OSError` or `KeyRefused` where a secret is gone or changed since the configuration was checked.
    """
    part, read = opening.channel, opening.secret
    if not isinstance(part, EmailPart):
        return NOTHING_SHARED
    keys = [Key(domain=k.domain, selector=k.selector, private=signing_key(read(k.private_key))) for k in part.dkim]
    bounces = part.bounces
    return Letterhead(
        signers=Signers(keys, unsigned=unsigned) if keys else None,
        bounces=Bounces(domain=bounces.domain, secret=read(bounces.secret).encode()) if bounces else None,
        unsubscribing=_unsubscribing(part.unsubscribe),
        feedback_sender=part.feedback_sender or "",
        sender=part.sender,
        reply_to=part.reply_to,
    )


def _unsubscribing(part: UnsubscribePart | None) -> Unsubscribing:
    return Unsubscribing(url=part.url or "", mailto=part.mailto or "") if part else Unsubscribing()
