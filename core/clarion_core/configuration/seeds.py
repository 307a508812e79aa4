"""Addresses of the sender's own that get a copy of what is sent."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from clarion_core.addresses import check_email
from clarion_core.configuration.part import TOLD, Part, text
from clarion_core.domain.channel import Seeds

MOST_SEEDS = 300
"""As many as Adobe Journey Optimizer has in a seed list."""


def _address(value: str) -> str:
    try:
        return check_email(value)
    except ValueError as error:
        raise PydanticCustomError(TOLD, "{problem}", {"problem": str(error)}) from None


class SeedsPart(Part):
    """Who gets one copy of each campaign revision that is sent, and the profile that it is rendered with."""

    addresses: Annotated[
        list[Annotated[str, AfterValidator(_address)]],
        text(f"a list of 1 to {MOST_SEEDS} e-mail addresses", min_length=1, max_length=MOST_SEEDS),
    ]
    profile: Annotated[dict[str, JsonValue], text("a mapping, as a recipient's profile")] = Field(default_factory=dict)

    def seeds(self) -> Seeds:
        """The same in the domain's words."""
        return Seeds(addresses=tuple(self.addresses), profile=self.profile)

    @model_validator(mode="after")
    def _addresses_are_unique(self) -> Self:
        if len({address.lower() for address in self.addresses}) < len(self.addresses):
            raise PydanticCustomError(TOLD, "an address stands there twice")
        return self
