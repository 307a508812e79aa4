"""Mailgun."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from clarion_core.configuration.authorities import AUTHORITIES, Authorities
from clarion_core.configuration.dkim import LABEL
from clarion_core.configuration.part import SECRET_WORDS, Part, Secret, text
from clarion_core.configuration.web_address import URL_WORDS, BaseUrl
from clarion_core.domain.medium import Medium


class MailgunPart(Part):
    """A domain at Mailgun, by an API key of the account's or, better, a sending key of the domain's own.

    `url` is the region's: https://api.eu.mailgun.net for a domain in the EU. In `test_mode` Mailgun takes messages,
    counts and charges them, and delivers none.
    """

    MEDIUM: ClassVar = Medium.EMAIL

    domain: Annotated[str, text("a domain in ASCII, like mg.shop.example", pattern=rf"^{LABEL}(?:\.{LABEL})+$")]
    api_key: Annotated[Secret, text(SECRET_WORDS)]
    test_mode: bool = False
    url: Annotated[BaseUrl, text(URL_WORDS)] = "https://api.mailgun.net"
    ca_file: Annotated[Authorities, AUTHORITIES] = None
    connections: Annotated[int, Field(ge=1, le=1_000)] = 64
    timeout_s: Annotated[float, Field(ge=0.1, le=900)] = 30.0
