"""An SMSC that speaks SMPP 3.4."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from clarion_core.configuration.part import SECRET_WORDS, TOLD, WRONG, FilePath, Part, Secret, surroundings, text
from clarion_core.domain.medium import Medium
from clarion_core.settings import is_loopback


class SmppPart(Part):
    """An SMSC. The longest texts are those of SMPP 3.4 §4.1.5 and §4.4.1, less the octet that ends them.

    `security` has no default where the host is another machine: SMPP has a password and people's messages in clear
    text, so leaving TLS out must be a decision, and another way to it (a tunnel) be there.
    """

    MEDIUM: ClassVar = Medium.SMS

    host: Annotated[str, text("a host name or an IP address", min_length=1)]
    port: Annotated[int, Field(ge=1, le=65_535)] = 2775
    security: Annotated[Literal["none", "tls"] | None, text("none or tls")] = None
    ca_file: Annotated[FilePath | None, text("the path of a readable PEM file of certificates")] = None
    system_id: Annotated[str, text("1 to 15 characters of ASCII", pattern=r"^[!-~]{1,15}$")]
    password: Annotated[Secret | None, text(SECRET_WORDS)] = None
    system_type: Annotated[str, text("up to 12 characters of ASCII", pattern=r"^[!-~]{0,12}$")] = ""
    service_type: Annotated[str, text("up to 5 characters of ASCII", pattern=r"^[!-~]{0,5}$")] = ""
    binds: Annotated[int, Field(ge=1, le=64)] = 1
    window: Annotated[int, Field(ge=1, le=1_000)] = 10
    timeout_s: Annotated[float, Field(ge=0.1, le=900)] = 30.0
    enquire_s: Annotated[float, Field(ge=1, le=3_600)] = 30.0
    default_alphabet: Literal["gsm", "latin1"] = "gsm"
    receipts: bool = True

    @field_validator("ca_file")
    @classmethod
    def _holds_certificates(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        try:
            if path is not None and surroundings(info).environment is not None:
                ssl.create_default_context(cafile=path)
        except OSError:  # of which SSLError is one
            raise PydanticCustomError(WRONG, "can't be read") from None
        return path

    @model_validator(mode="after")
    def _security_is_decided(self) -> Self:
        if self.security is None and not is_loopback(self.host):
            raise PydanticCustomError(
                TOLD, "needs security: tls, or none where something else protects the way to host, which is clear text"
            )
        return self
