"""Where calls of addresses that strangers named may go."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from clarion_core.configuration.part import SECRET_WORDS, WRONG, Part, Secret, text
from clarion_core.domain.networks import networks
from clarion_core.urls import Url, read_url

_NETWORKS = "a list of networks like 10.20.0.0/16"
_ORIGINS = "a list of addresses without a path, like http://hooks.internal:8080"


class ProxyPart(Part):
    """A proxy that all calls go through. It resolves names, so keeping internal ones from strangers is its task too."""

    url: Annotated[str, text("an http or https address without a path, like http://egress.internal:4750")]
    username: Annotated[str, text("any text without a colon, in quotes", pattern=r"^[^:]*$")] = ""
    password: Annotated[Secret | None, text(SECRET_WORDS)] = None

    @field_validator("url")
    @classmethod
    def _is_an_origin(cls, url: str) -> str:
        return _origin(url).origin


class EgressPart(Part):
    """What may be called. By itself: https on port 443 of the public internet.

    `origins` are the installation's own: called at that port, in plain text where they say http, wherever they are.
    `networks` may be called though they are not public, `denied` may not though they are. `ports` may be called besides
    443; with `plain_http`, without TLS too.
    """

    origins: Annotated[list[str], text(_ORIGINS, max_length=1_000)] = Field(default_factory=list)
    networks: Annotated[list[str], text(_NETWORKS, max_length=1_000)] = Field(default_factory=list)
    denied: Annotated[list[str], text(_NETWORKS, max_length=1_000)] = Field(default_factory=list)
    ports: Annotated[
        list[Annotated[int, Field(ge=1, le=65_535)]],
        text("a list of ports, whole numbers from 1 to 65535", max_length=1_000),
    ] = Field(default_factory=list)
    plain_http: bool = False
    proxy: Annotated[ProxyPart | None, text("a mapping with url, username and password")] = None

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, origins: list[str]) -> list[str]:
        return [_origin(each).origin for each in origins]

    @field_validator("networks", "denied")
    @classmethod
    def _are_networks(cls, texts: list[str]) -> list[str]:
        try:
            networks(texts)
        except ValueError:
            raise PydanticCustomError(WRONG, "has something that is no network") from None
        return texts


def _origin(text: str) -> Url:
    """A scheme, host and port, and no more."""
    try:
        url = read_url(text)
    except ValueError:
        raise PydanticCustomError(WRONG, "is no address") from None
    if url.target != "/":
        raise PydanticCustomError(WRONG, "has a path")
    return url
