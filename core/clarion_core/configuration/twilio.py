"""Twilio's Programmable Messaging."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from clarion_core.configuration.authorities import AUTHORITIES, Authorities
from clarion_core.configuration.part import SECRET_WORDS, Part, Secret, text
from clarion_core.configuration.web_address import URL_WORDS, BaseUrl
from clarion_core.domain.medium import Medium


class TwilioPart(Part):
    """An account of Twilio's, known by its auth token or, better, by an API key of its own (`api_key` and its secret).

    With a messaging service, that chooses who a message is from.
    """

    MEDIUM: ClassVar = Medium.SMS

    account_sid: Annotated[str, text("AC and 32 hexadecimal digits", pattern=r"^AC[0-9a-fA-F]{32}$")]
    secret: Annotated[Secret, text(SECRET_WORDS)]
    api_key: Annotated[str, text("SK and 32 hexadecimal digits, or nothing", pattern=r"^(SK[0-9a-fA-F]{32})?$")] = ""
    messaging_service_sid: Annotated[
        str, text("MG and 32 hexadecimal digits, or nothing", pattern=r"^(MG[0-9a-fA-F]{32})?$")
    ] = ""
    status_callback: Annotated[BaseUrl | None, text(URL_WORDS)] = None
    url: Annotated[BaseUrl, text(URL_WORDS)] = "https://api.twilio.com"
    ca_file: Annotated[Authorities, AUTHORITIES] = None
    connections: Annotated[int, Field(ge=1, le=1_000)] = 64
    timeout_s: Annotated[float, Field(ge=0.1, le=900)] = 30.0
