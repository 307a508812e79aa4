"""Firebase Cloud Messaging."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from pydantic import Field, ValidationInfo, field_validator

from clarion_core.configuration.authorities import AUTHORITIES, Authorities
from clarion_core.configuration.keys import check_secret, rsa_key
from clarion_core.configuration.part import Part, Secret, text
from clarion_core.configuration.web_address import URL_WORDS, BaseUrl
from clarion_core.domain.medium import Medium


class ServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What Google's JSON key of a service account says, as far as it is needed."""

    client_email: str
    private_key: str
    project_id: str
    private_key_id: str = ""
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105


def service_account(document: str) -> ServiceAccount:
    """The account in this JSON. `ValueError` where it is no key of a service account."""
    account = msgspec.json.decode(document, type=ServiceAccount)  # its errors are ValueErrors
    rsa_key(account.private_key)
    return account


class FcmPart(Part):
    """Firebase Cloud Messaging, HTTP v1: a project, and the service account that may send for it."""

    MEDIUM: ClassVar = Medium.FCM

    credentials: Annotated[Secret, text("where the JSON key of a service account is: {env: NAME} or {file: path}")]
    project: Annotated[str, text("a project id", pattern=r"^([a-z0-9][a-z0-9:.\-]{0,62})?$")] = ""
    """Empty: the service account's own."""
    url: Annotated[BaseUrl, text(URL_WORDS)] = "https://fcm.googleapis.com"
    ca_file: Annotated[Authorities, AUTHORITIES] = None
    connections: Annotated[int, Field(ge=1, le=1_000)] = 64
    timeout_s: Annotated[float, Field(ge=0.1, le=900)] = 30.0

    @field_validator("credentials")
    @classmethod
    def _are_a_service_accounts(cls, secret: Secret, info: ValidationInfo) -> Secret:
        return check_secret(secret, info, service_account)
