"""Webhooks as Standard Webhooks 1.0 has them: which endpoints, what their calls are signed with, how they are repeated.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from clarion_core.configuration.authorities import AUTHORITIES, Authorities
from clarion_core.configuration.egress import EgressPart
from clarion_core.configuration.part import TOLD, WRONG, Part, RetryPart, Secret, surroundings, text
from clarion_core.domain.medium import Medium
from clarion_core.urls import read_url

SCHEDULE_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""The pauses between ten attempts, the last of them 75 h 35 min after the first ("Deliverability and reliability")."""

SYMMETRIC, ASYMMETRIC = "whsec_", "whsk_"
_SECRETS = "a list of at most 4, each {env: NAME} or {file: path}, of whsec_ secrets or whsk_ keys in base64"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What calls are signed with. `v1`: HMAC-SHA256 with this secret; `v1a`: Ed25519 with the key of this seed."""

    scheme: Literal["v1", "v1a"]
    value: bytes = field(repr=False)


def signing_key(text: str) -> SigningKey:
    """A secret as people hand it on: `whsec_` and 24 to 64 bytes in base64, or `whsk_` and an Ed25519 key.

    A key is its seed of 32 bytes, or seed and public key after each other. `ValueError` for anything else.
    """
    text = text.strip()
    if text.startswith(SYMMETRIC):
        return SigningKey("v1", _decoded(text.removeprefix(SYMMETRIC), range(24, 65)))
    if text.startswith(ASYMMETRIC):
        return SigningKey("v1a", _seed(_decoded(text.removeprefix(ASYMMETRIC), (32, 64))))
    raise ValueError(f"it begins neither with {SYMMETRIC} nor with {ASYMMETRIC}")


def _decoded(text: str, lengths: Container[int]) -> bytes:
    try:
        value = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is not base64") from None
    if len(value) not in lengths:
        raise ValueError("it has a wrong length")
    return value


def _seed(value: bytes) -> bytes:
    seed, public = value[:32], value[32:]
    if public and Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw() != public:
        raise ValueError("its two halves are not of one key")
    return seed


def _held_keys(secrets: list[Secret], info: ValidationInfo) -> list[Secret]:
    """Secrets that are there to be read hold keys."""
    environment = surroundings(info).environment
    try:
        for secret in secrets if environment is not None else ():
            signing_key(secret.read(environment or {}))
    except ValueError as error:
        raise PydanticCustomError(TOLD, "can't be signed with: {error}", {"error": str(error)}) from None
    return secrets


class WebhookRetryPart(RetryPart):
    """How failed calls are repeated: by the specification's table."""

    max_attempts: Annotated[int, Field(ge=1, le=100)] = len(SCHEDULE_S) + 1
    schedule_s: Annotated[
        list[Annotated[int, Field(ge=1, le=604_800)]],
        text("a list of pauses in seconds, whole numbers from 1 to 604800; empty: backoff", max_length=100),
    ] = Field(default_factory=lambda: list(SCHEDULE_S))


class EndpointPart(Part):
    """An endpoint, or several: what begins with `url` as far as a whole part of the path is signed with its secrets."""

    url: Annotated[str, text("an address like https://hooks.example.com/clarion")]
    secrets: Annotated[list[Secret], text(_SECRETS, min_length=1, max_length=4)]

    _hold_keys = field_validator("secrets")(_held_keys)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        try:
            read = read_url(url)
        except ValueError as error:
            raise PydanticCustomError(TOLD, "{error}", {"error": str(error)}) from None
        if "?" in read.target:
            raise PydanticCustomError(WRONG, "has a query")
        return read.text


class WebhookPart(Part):
    """Calls of endpoints that recipients name.

    Calls of an endpoint that `endpoints` knows are signed with its own secrets, of others with `secrets`; without such,
    they are not made. Several secrets are for the time of a change: every call has a signature of each.
    """

    MEDIUM: ClassVar = Medium.WEBHOOK

    secrets: Annotated[list[Secret], text(_SECRETS, max_length=4)] = Field(default_factory=list)
    endpoints: Annotated[
        list[EndpointPart], text("a list of at most 10000, each with url and secrets", max_length=10_000)
    ] = Field(default_factory=list)
    egress: Annotated[EgressPart, text("a mapping with origins, networks, ports and the like")] = EgressPart()
    ca_file: Annotated[Authorities, AUTHORITIES] = None
    connections: Annotated[int, Field(ge=1, le=10_000)] = 256
    endpoint_connections: Annotated[int, Field(ge=1, le=10_000)] = 16
    timeout_s: Annotated[float, Field(ge=0.1, le=300)] = 15.0
    max_bytes: Annotated[int, Field(ge=1_024, le=8_388_608)] = 262_144

    _hold_keys = field_validator("secrets")(_held_keys)

    @field_validator("endpoints")
    @classmethod
    def _are_different(cls, endpoints: list[EndpointPart]) -> list[EndpointPart]:
        urls = {endpoint.url for endpoint in endpoints}
        if len(urls) != len(endpoints):
            raise PydanticCustomError(TOLD, "names one endpoint twice")
        return endpoints

    @model_validator(mode="after")
    def _signs_something(self) -> Self:
        if not self.secrets and not self.endpoints:
            raise PydanticCustomError(TOLD, "needs secrets, or endpoints with theirs: no call leaves unsigned")
        return self
