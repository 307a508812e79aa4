"""Who a text message is from: a number, a short code or a name; which of them may depend on the country."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)  # ITU-T E.164
_SHORT_CODE = re.compile(r"[0-9]{3,8}", re.ASCII)
# 3GPP TS 23.040 §9.1.2.5: 7 octets of septets, so 11 characters. Networks agree on fewer than the alphabet has.
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9&._+'-](?:[A-Za-z0-9&._+' -]{0,9}[A-Za-z0-9&._+'-])?", re.ASCII)

ALLOWED = "a number in E.164, a short code of 3 to 8 digits, or a name of up to 11 letters, digits, spaces and &._+'-"
"""What may be a sender, in words."""


class SenderKind(Enum):
    """What a sender is."""

    NUMBER = "NUMBER"
    SHORT_CODE = "SHORT_CODE"
    NAME = "NAME"  # nobody can answer it


def sender_kind(sender: str) -> SenderKind:
    """What this is; `ValueError` where it is nothing that networks carry."""
    if _NUMBER.fullmatch(sender):
        return SenderKind.NUMBER
    if _SHORT_CODE.fullmatch(sender):
        return SenderKind.SHORT_CODE
    if _NAME.fullmatch(sender):
        return SenderKind.NAME
    raise ValueError(f"must be {ALLOWED}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Senders:
    """The senders of a channel: one for every country, and others for some, by their ISO 3166 code."""

    default: str = ""
    by_country: Mapping[str, str] = field(default_factory=dict)

    def of(self, country: str) -> str:
        """The sender to a country; empty where there is none."""
        return self.by_country.get(country, self.default)
