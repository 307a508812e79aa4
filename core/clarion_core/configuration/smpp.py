"""An SMSC that speaks SMPP 3.4."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from clarion_core.configuration.authorities import AUTHORITIES, Authorities
from clarion_core.configuration.part import SECRET_WORDS, TOLD, Part, Secret, text
from clarion_core.domain.medium import Medium
from clarion_core.settings import is_loopback


class SmppPart(Part):
    """An SMSC. The longest texts are those of SMPP 3.4 §4.1.5 and §4.4.1, less the octet that ends them.

    `security` has no default where the host is another machine: SMPP has a password and people's messages in clear
    text, so leaving TLS out must be a decision, and another way to it (a tunnel) be there.

    `receipt_ids`: how receipts write the number that responses give as an id, where that is not the same way.
    """

    MEDIUM: ClassVar = Medium.SMS

    host: Annotated[str, text("a host name or an IP address", min_length=1)]
    port: Annotated[int, Field(ge=1, le=65_535)] = 2775
    security: Annotated[Literal["none", "tls"] | None, text("none or tls")] = None
    ca_file: Annotated[Authorities, AUTHORITIES] = None
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
    receipt_ids: Literal["as_sent", "hex", "decimal"] = "as_sent"

    @model_validator(mode="after")
    def _security_is_decided(self) -> Self:
        if self.security is None and not is_loopback(self.host):
            raise PydanticCustomError(
                TOLD, "needs security: tls, or none where something else protects the way to host, which is clear text"
            )
        return self
