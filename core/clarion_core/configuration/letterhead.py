"""What all mail of an e-mail channel shares: signatures, bounce addresses, how to unsubscribe, whose feedback it is."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from clarion_core import verp
from clarion_core.addresses import parse_mailbox
from clarion_core.configuration.dkim import LABEL, DkimPart
from clarion_core.configuration.part import SECRET_WORDS, TOLD, Part, Secret, surroundings, text
from clarion_core.configuration.seeds import SeedsPart

DELIVERY = "{delivery}"
"""Stands for the delivery's id in a template of a configuration."""


class BouncesPart(Part):
    """Where bounces go: each message has an envelope sender of its own in this domain, which tells its delivery.

    `previous_secret`: the one from before, while messages that were sent with it may still come back.
    """

    domain: Annotated[str, text("a domain in ASCII, like bounces.shop.example", pattern=rf"^{LABEL}(?:\.{LABEL})+$")]
    secret: Annotated[Secret, text(SECRET_WORDS)]
    previous_secret: Annotated[Secret | None, text(SECRET_WORDS)] = None

    @field_validator("secret", "previous_secret")
    @classmethod
    def _is_long_enough(cls, secret: Secret | None, info: ValidationInfo) -> Secret | None:
        environment = surroundings(info).environment
        if secret and environment is not None and len(secret.read(environment)) < verp.SECRET_CHARS:
            raise PydanticCustomError(TOLD, "needs {chars} characters at least", {"chars": verp.SECRET_CHARS})
        return secret


class UnsubscribePart(Part):
    """How a recipient's mail program says that it wants no more (RFC 2369, RFC 8058).

    `{delivery}` in either stands for the delivery's id. Mail programs POST to the URL without asking anybody.
    """

    url: Annotated[
        str | None,
        text(
            f"an https URL with {DELIVERY} in it, in ASCII, of 500 characters at most",
            pattern=r"^https://[!-;=?-~]*\{delivery\}[!-;=?-~]*$",
            max_length=500,
        ),
    ] = None
    mailto: Annotated[
        str | None,
        text(
            f"mailto: and an address in ASCII, perhaps with ?subject={DELIVERY}",
            pattern=r"^mailto:[A-Za-z0-9._+\-{}]+@[A-Za-z0-9.\-]+(?:\?[!-;=?-~]*)?$",
            max_length=500,
        ),
    ] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.url is None and self.mailto is None:
            raise PydanticCustomError(TOLD, "needs url, mailto or both")
        return self


class LetterheadPart(Part):
    """What of an e-mail channel's configuration every message shows, whoever carries it.

    `sender` and `reply_to` are those of messages that do not say so themselves; `overridable` names those of them that
    a campaign may say.
    """

    sender: Annotated[str, text("a mailbox, like Shop <orders@example.com>")] = ""
    reply_to: Annotated[str, text("a mailbox, like Shop <orders@example.com>")] = ""
    overridable: Annotated[
        list[Literal["sender", "reply_to"]], text("a list of sender and reply_to, or an empty one")
    ] = Field(default=["sender", "reply_to"])

    dkim: Annotated[
        list[DkimPart], text("a list of up to 64 mappings with domain, selector and private_key", max_length=64)
    ] = Field(default_factory=list)
    bounces: Annotated[BouncesPart | None, text("a mapping with domain and secret")] = None
    unsubscribe: Annotated[UnsubscribePart | None, text("a mapping with url, mailto or both")] = None
    feedback_sender: Annotated[
        str | None,
        text("5 to 15 letters, digits and hyphens, the same one for ever", pattern=r"^[A-Za-z0-9-]{5,15}$"),
    ] = None

    seeds: Annotated[SeedsPart | None, text("a mapping with addresses and profile")] = None

    @field_validator("sender", "reply_to")
    @classmethod
    def _is_a_mailbox(cls, mailbox: str) -> str:
        if mailbox:
            try:
                parse_mailbox(mailbox)
            except ValueError as error:
                raise PydanticCustomError(TOLD, "{problem}", {"problem": str(error)}) from None
        return mailbox

    @field_validator("dkim")
    @classmethod
    def _selectors_are_unique(cls, keys: list[DkimPart]) -> list[DkimPart]:
        names = [f"{key.selector}._domainkey.{key.domain}".lower() for key in keys]
        for name in names:
            if names.count(name) > 1:
                raise PydanticCustomError(TOLD, "two are found under {name}; a selector has one key", {"name": name})
        return keys
