"""What all text messages of a channel share: who they are from, and what answers to them mean."""

from __future__ import annotations

from typing import Annotated, Literal

import phonenumbers
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from clarion_core.configuration.part import TOLD, WRONG, Part, surroundings, text
from clarion_core.domain.keywords import Keywords, keywords, plain
from clarion_core.domain.sender import ALLOWED, Senders, sender_kind

_WORDS = "a list of up to 50 words, which replaces the usual one"


class KeywordsPart(Part):
    """What people answer with. `help_text` is what HELP is answered with; empty: HELP is left to others."""

    stop: Annotated[list[str] | None, text(_WORDS, max_length=50)] = None
    start: Annotated[list[str] | None, text(_WORDS, max_length=50)] = None
    help: Annotated[list[str] | None, text(_WORDS, max_length=50)] = None
    help_text: Annotated[str, text("up to 459 characters, which is 3 segments", max_length=459)] = ""

    @field_validator("stop", "start", "help")
    @classmethod
    def _are_words(cls, words: list[str] | None) -> list[str] | None:
        if not all(map(plain, words or ())):
            raise PydanticCustomError(TOLD, "holds one that is no word")
        return words

    def keywords(self) -> Keywords:
        """The same in the domain's words."""
        return keywords(stop=self.stop, start=self.start, help_=self.help)


class TextingPart(Part):
    """What of an SMS channel's configuration holds for all its providers.

    `sender` is who messages are from that do not say so themselves, which campaigns may where it is `overridable`;
    `senders` whoever else that is in a country.
    `workspaces` are those whose suppression lists STOP and START change: what comes in does not tell. A configuration
    of the store is of one workspace, and changes no other's.
    """

    sender: Annotated[str, text(f"{ALLOWED}, or nothing")] = ""
    overridable: Annotated[list[Literal["sender"]], text("a list with sender, or an empty one")] = Field(
        default=["sender"]
    )
    senders: Annotated[dict[str, str], text("a mapping of countries, like DE, to senders")] = Field(
        default_factory=dict
    )
    keywords: Annotated[KeywordsPart, text("a mapping with stop, start, help and help_text")] = KeywordsPart()
    workspaces: Annotated[list[str], text("a list of 1 to 100 workspaces", min_length=1, max_length=100)] = Field(
        default_factory=lambda: ["default"]
    )

    @field_validator("sender")
    @classmethod
    def _is_a_sender(cls, sender: str) -> str:
        if sender and not _is_sender(sender):
            raise PydanticCustomError(WRONG, "is none")
        return sender

    @field_validator("workspaces")
    @classmethod
    def _are_the_files_to_say(cls, workspaces: list[str], info: ValidationInfo) -> list[str]:
        if surroundings(info).confined:
            raise PydanticCustomError(TOLD, "must be left out: a configuration of the service is of its own workspace")
        return workspaces

    @field_validator("senders")
    @classmethod
    def _are_senders_by_country(cls, senders: dict[str, str]) -> dict[str, str]:
        for country, sender in senders.items():
            if country not in phonenumbers.SUPPORTED_REGIONS:
                raise PydanticCustomError(
                    TOLD, "has {country}, which is no country; write its two letters, like DE", {"country": country}
                )
            if not _is_sender(sender):
                raise PydanticCustomError(TOLD, "{country} must be {allowed}", {"country": country, "allowed": ALLOWED})
        return senders

    def by_country(self) -> Senders:
        """The senders in the domain's words."""
        return Senders(default=self.sender, by_country=self.senders)


def _is_sender(sender: str) -> bool:
    try:
        sender_kind(sender)
    except ValueError:
        return False
    return True
