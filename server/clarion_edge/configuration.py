"""Who may tell what became of messages: a file with one entry a source, and how each is believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from clarion_core import pointer
from clarion_core.configuration.authorities import AUTHORITIES, Authorities
from clarion_core.configuration.part import SECRET_WORDS, TOLD, Part, Secret, text
from clarion_core.domain.bounce import BounceCategory

_DOMAIN = r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+$"
_POINTER = "a JSON pointer, like /results/0/status"
OTHER_WORDS = ("delivered", "deferred", "complained", "ignored")
WORDS = (*OTHER_WORDS, "bounced", *(category.value.lower() for category in BounceCategory))
"""What a provider's word can be said to mean; a category is a bounce for that reason."""


class SnsPart(Part):
    """Amazon SNS, with what SES tells. Only these topics are believed, and subscribed to when they ask."""

    topics: Annotated[list[str], text("a list of 1 to 64 ARNs of topics", min_length=1, max_length=64)]
    ca_file: Annotated[Authorities, AUTHORITIES] = None

    @field_validator("topics")
    @classmethod
    def _are_topics(cls, topics: list[str]) -> list[str]:
        if not all(topic.startswith("arn:aws") and topic.count(":") == 5 and ":sns:" in topic for topic in topics):
            raise PydanticCustomError(TOLD, "has one that is no ARN of a topic, arn:aws:sns:REGION:ACCOUNT:NAME")
        return topics


class TwilioCallbackPart(Part):
    """Twilio: status callbacks and answers to messages, signed with the account's auth token.

    `workspaces`: whose suppression lists an answer like STOP changes. Which words mean it, the SMS configurations say.
    """

    auth_token: Annotated[Secret, text(SECRET_WORDS)]
    workspaces: Annotated[list[str], text("a list of up to 100 workspaces", max_length=100)] = Field(
        default_factory=lambda: ["default"]
    )


class SignaturePart(Part):
    """A header with an HMAC of the body."""

    header: Annotated[str, text("the name of a header", pattern=r"^[A-Za-z0-9-]{1,64}$")]
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Annotated[str, text("what stands before it, like sha256=", max_length=32)] = ""


class HttpCallbackPart(Part):
    """Any provider that calls a URL. What it sends is described by JSON pointers; forms and queries are flat documents.

    It is believed by `secret`: in the path, in a header (`secret_header`), or as the key of a `signature`. `statuses`
    say what the provider's words mean; a word that is not there is ignored. `codes` say more of bounces.
    """

    secret: Annotated[Secret, text(SECRET_WORDS)]
    secret_header: Annotated[str, text("the name of a header, or nothing", pattern=r"^[A-Za-z0-9-]{0,64}$")] = ""
    signature: Annotated[SignaturePart | None, text("a mapping with header, algorithm, encoding and prefix")] = None
    items: Annotated[str, text(f"{_POINTER}, to a list of receipts, or nothing", pattern=pointer.PATTERN)] = ""
    delivery: Annotated[str, text(_POINTER, pattern=pointer.PATTERN, min_length=1)]
    status: Annotated[str, text(_POINTER, pattern=pointer.PATTERN, min_length=1)]
    time: Annotated[str, text(f"{_POINTER}, or nothing", pattern=pointer.PATTERN)] = ""
    code: Annotated[str, text(f"{_POINTER}, or nothing", pattern=pointer.PATTERN)] = ""
    detail: Annotated[str, text(f"{_POINTER}, or nothing", pattern=pointer.PATTERN)] = ""
    statuses: Annotated[dict[str, str], text("a mapping of the provider's words to ours", min_length=1, max_length=200)]
    codes: Annotated[dict[str, str], text("a mapping of the provider's codes to categories", max_length=1_000)] = Field(
        default_factory=dict
    )

    @field_validator("statuses")
    @classmethod
    def _are_known(cls, statuses: dict[str, str]) -> dict[str, str]:
        return _known(statuses, WORDS)

    @field_validator("codes")
    @classmethod
    def _are_categories(cls, codes: dict[str, str]) -> dict[str, str]:
        return _known(codes, WORDS[len(OTHER_WORDS) + 1 :])

    @model_validator(mode="after")
    def _is_believed_in_one_way(self) -> Self:
        if self.secret_header and self.signature:
            raise PydanticCustomError(TOLD, "secret_header and signature exclude each other")
        return self


def _known(words: dict[str, str], known: tuple[str, ...]) -> dict[str, str]:
    for word, meaning in words.items():
        if meaning not in known:
            raise PydanticCustomError(
                TOLD, "{word} must be one of {known}", {"word": word[:40], "known": ", ".join(known)}
            )
    return words


class SourcePart(Part):
    """A source: its name, which is in its URL and in facts, and one key that says what it is."""

    name: Annotated[
        str, text("a lower-case letter, then up to 31 letters, digits and hyphens", pattern=r"^[a-z][a-z0-9-]{0,31}$")
    ]
    sns: Annotated[SnsPart | None, text("a mapping with topics")] = None
    twilio: Annotated[TwilioCallbackPart | None, text("a mapping with auth_token")] = None
    http: Annotated[HttpCallbackPart | None, text("a mapping with secret, delivery, status and statuses")] = None

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        if sum(part is not None for part in (self.sns, self.twilio, self.http)) != 1:
            raise PydanticCustomError(TOLD, "needs one of sns, twilio, http")
        return self


class MailPart(Part):
    """Mail that comes back: the domain of bounce addresses, and the secret that makes them, as the channel has it."""

    domain: Annotated[str, text("a domain in lower case, like bounces.shop.example", pattern=_DOMAIN)]
    secret: Annotated[Secret, text(SECRET_WORDS)]
    previous_secret: Annotated[Secret | None, text(SECRET_WORDS)] = None

    def held_secrets(self, environment: Mapping[str, str]) -> list[bytes]:
        """The secrets, the one in use first."""
        held = [self.secret, *([self.previous_secret] if self.previous_secret else [])]
        return [secret.read(environment).encode() for secret in held]


class Receipts(Part):
    """The whole file."""

    sources: Annotated[list[SourcePart], text("a list of up to 64 sources", max_length=64)] = Field(
        default_factory=list
    )
    mail: Annotated[MailPart | None, text("a mapping with domain and secret")] = None

    @field_validator("sources")
    @classmethod
    def _names_are_unique(cls, sources: list[SourcePart]) -> list[SourcePart]:
        names = [source.name for source in sources]
        for name in names:
            if names.count(name) > 1:
                raise PydanticCustomError(TOLD, "two are called {name}; each needs a name of its own", {"name": name})
        return sources
