"""Web Push."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from clarion_core.configuration.authorities import AUTHORITIES, Authorities
from clarion_core.configuration.keys import check_secret, p256_key
from clarion_core.configuration.part import WRONG, Part, Secret, text
from clarion_core.domain.medium import Medium
from clarion_core.urls import Url, read_url

SERVICES = (
    "fcm.googleapis.com",
    "*.push.services.mozilla.com",
    "*.push.apple.com",
    "*.notify.windows.com",
)
"""The push services of the browsers in use. Whatever else a subscription names is refused: devices name it."""


def authority(url: Url) -> str:
    """A URL's host, and its port where it is not the scheme's own: how `services` write it."""
    return url.text.removeprefix(f"{url.scheme}://").removesuffix(url.target)


def _is_service(text: str) -> bool:
    if text == "*":
        return True
    try:
        return authority(read_url(f"https://{text.removeprefix('*.')}")) == text.removeprefix("*.")
    except ValueError:
        return False


class WebPushPart(Part):
    """Web Push (RFC 8030): the key that browsers were given as `applicationServerKey`, and whom to write to."""

    MEDIUM: ClassVar = Medium.WEB_PUSH

    key: Annotated[Secret, text("where the VAPID private key is: {env: NAME} or {file: path}")]
    subject: Annotated[
        str, text("mailto: and an address, or an https:// URL", pattern=r"^(mailto:[^\s@]+@[^\s@]+|https://\S+)$")
    ]
    """Whom push services turn to (RFC 8292 §2.1)."""
    # One that is named whole is the installation's own choice, and may be on a private network.
    services: Annotated[
        list[str],
        text("a list of hosts, each a name, *. and a domain, or * for any public one", min_length=1, max_length=64),
    ] = list(SERVICES)  # noqa: RUF012 - frozen
    ca_file: Annotated[Authorities, AUTHORITIES] = None
    connections: Annotated[int, Field(ge=1, le=1_000)] = 64
    timeout_s: Annotated[float, Field(ge=0.1, le=900)] = 30.0

    @field_validator("key")
    @classmethod
    def _is_on_p256(cls, secret: Secret, info: ValidationInfo) -> Secret:
        return check_secret(secret, info, p256_key)

    @field_validator("services")
    @classmethod
    def _are_hosts(cls, services: list[str]) -> list[str]:
        if not all(map(_is_service, services)):
            raise PydanticCustomError(WRONG, "are no hosts")
        return services
