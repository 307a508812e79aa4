"""A provider of text messages over HTTP, described by configuration alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from clarion_core.configuration.authorities import AUTHORITIES, Authorities
from clarion_core.configuration.part import SECRET_WORDS, TOLD, WRONG, Part, Secret, text
from clarion_core.configuration.placeholders import NotADocument, names
from clarion_core.configuration.web_address import URL_WORDS, BaseUrl
from clarion_core.domain.medium import Medium

KNOWN = ("to", "to_digits", "from", "text", "delivery_id", "ttl_s", "expire_time", "segments")
SECRET_PREFIX = "secret."  # noqa: S105
# Where a value stands in headers, it can't be one that somebody else chose.
_IN_HEADERS = ("delivery_id", "ttl_s", "expire_time", "segments")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect", "te", "trailer", "upgrade"})
_HEADER_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,1000}")
_DOCUMENT = "a mapping whose texts may hold placeholders like {{to}}"
_POINTER = "a JSON pointer (RFC 6901) like /messages/0/id, or nothing"
_STATUSES = "a list of 1 to 50 statuses from 100 to 599"
_RULES = "a list of up to 100 rules, of which the first that fits holds"
_VALUES = "a list of 1 to 100 texts, numbers, true or false"

Status = Annotated[int, Field(ge=100, le=599)]
Pointer = Annotated[str, Field(pattern=r"^((/([^~/]|~[01])*)+)?$", max_length=500)]
Plain = str | bool | int


def _is_a_document(document: dict[str, Any] | None) -> dict[str, Any] | None:
    _check(document, KNOWN)
    return document


def _are_fields(fields: dict[str, Any] | None) -> dict[str, Any] | None:
    _check(fields, KNOWN)
    for value in (fields or {}).values():
        if not all(isinstance(each, str | int) for each in (value if isinstance(value, list) else [value])):
            raise PydanticCustomError(TOLD, "is flat: a field is a text, a number, true or false, or a list of them")
    return fields


def _are_headers(headers: dict[str, str]) -> dict[str, str]:
    _check(headers, _IN_HEADERS)
    for name, value in headers.items():
        if not re.fullmatch(_HEADER_NAME, name) or name.lower() in _OURS or not _HEADER_VALUE.fullmatch(value):
            raise PydanticCustomError(TOLD, "{name} can't be set so", {"name": name})
    return headers


def _check(document: Any, known: tuple[str, ...]) -> None:
    try:
        used = names(document)
    except NotADocument:
        raise PydanticCustomError(WRONG, "has something that is no JSON") from None
    for name in sorted(used):
        if name not in known and not name.startswith(SECRET_PREFIX):
            raise PydanticCustomError(
                TOLD,
                "has {name}, which is not known here; known are {known}",
                {"name": f"{{{{{name}}}}}", "known": ", ".join(known)},
            )


class BasicPart(Part):
    """A name and a password (RFC 7617)."""

    username: Annotated[str, text("any text without a colon", pattern=r"^[^:\x00-\x1f\x7f]+$")]
    password: Annotated[Secret, text(SECRET_WORDS)]


class HeaderSecretPart(Part):
    """A secret in a header of its own, perhaps behind a word: `Authorization: App …`."""

    name: Annotated[str, text("the name of a header", pattern=_HEADER_NAME)]
    prefix: Annotated[str, text("any text in ASCII", pattern=r"^[\x20-\x7e]*$")] = ""
    secret: Annotated[Secret, text(SECRET_WORDS)]


class AuthPart(Part):
    """How the provider knows us."""

    basic: Annotated[BasicPart | None, text("a mapping with username and password")] = None
    bearer: Annotated[Secret | None, text(SECRET_WORDS)] = None
    header: Annotated[HeaderSecretPart | None, text("a mapping with name, prefix and secret")] = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise PydanticCustomError(TOLD, "needs one of basic, bearer and header")
        return self


class NamedSecretPart(Part):
    """A secret that documents call `{{secret.name}}`."""

    name: Annotated[str, text("lower-case letters, digits and underscores", pattern=r"^[a-z0-9_]{1,32}$")]
    secret: Annotated[Secret, text(SECRET_WORDS)]


class SuccessPart(Part):
    """When an answer means that a message was taken: by its status and, where `at` says so, by a value in it."""

    status: Annotated[list[Status], text(_STATUSES, min_length=1, max_length=50)] = Field(
        default_factory=lambda: [200, 201, 202]
    )
    at: Annotated[Pointer, text(_POINTER)] = ""
    values: Annotated[list[Plain] | None, text(_VALUES, min_length=1, max_length=100)] = None

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if bool(self.at) != (self.values is not None):
            raise PydanticCustomError(TOLD, "at and values go together")
        return self


class FailurePart(Part):
    """What an answer means that is no success, where it has this status or holds one of these values."""

    status: Annotated[list[Status] | None, text(_STATUSES, min_length=1, max_length=50)] = None
    at: Annotated[Pointer, text(_POINTER)] = ""
    values: Annotated[list[Plain] | None, text(_VALUES, min_length=1, max_length=100)] = None
    reason: Literal[
        "RECIPIENT_REFUSED",
        "RECIPIENT_DEFERRED",
        "MESSAGE_REFUSED",
        "PROVIDER_DEFERRED",
        "PROVIDER_UNREACHABLE",
        "PROVIDER_CREDENTIALS",
        "PROVIDER_UNSUPPORTED",
        "HANDOVER_UNKNOWN",
    ]
    address: Annotated[Literal["unsubscribed", "gone"] | None, text("unsubscribed or gone")] = None
    """What it says of the number itself, which then is suppressed: its owner wants no more, or there is none."""

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if bool(self.at) != (self.values is not None):
            raise PydanticCustomError(TOLD, "at and values go together")
        if self.status is None and not self.at:
            raise PydanticCustomError(TOLD, "needs status, or at and values")
        if self.address and self.reason != "RECIPIENT_REFUSED":
            raise PydanticCustomError(TOLD, "address is of RECIPIENT_REFUSED alone")
        return self


class HttpSmsPart(Part):
    """How a message is asked for, and what answers mean. See docs/generic-http.md for every key with examples.

    `ttl_s` and `expire_time` say `max_ttl_s` of a message that never is too late. With `receipts_by_id` receipts name a
    message by the provider's id alone, so it is kept to be found by.
    """

    MEDIUM: ClassVar = Medium.SMS

    url: Annotated[BaseUrl, text(URL_WORDS)]
    method: Literal["POST", "PUT", "GET"] = "POST"
    auth: Annotated[AuthPart | None, text("a mapping with one of basic, bearer and header")] = None
    secrets: Annotated[list[NamedSecretPart], text("a list of up to 16 names and secrets", max_length=16)] = Field(
        default_factory=list
    )
    headers: Annotated[
        dict[str, str], AfterValidator(_are_headers), text("a mapping of names to texts in ASCII", max_length=50)
    ] = Field(default_factory=dict)
    query: Annotated[dict[str, Any], AfterValidator(_are_fields), text(_DOCUMENT, max_length=100)] = Field(
        default_factory=dict
    )
    body: Annotated[dict[str, Any] | None, AfterValidator(_is_a_document), text(_DOCUMENT)] = None
    form: Annotated[dict[str, Any] | None, AfterValidator(_are_fields), text(_DOCUMENT)] = None
    success: Annotated[SuccessPart, text("a mapping with status, at and values")] = SuccessPart()
    failures: Annotated[list[FailurePart], text(_RULES, max_length=100)] = Field(default_factory=list)
    id_at: Annotated[Pointer, text(_POINTER)] = ""
    receipts_by_id: bool = False
    detail_at: Annotated[Pointer, text(_POINTER)] = ""
    idempotency_header: Annotated[
        str, text("the name of a header, or nothing", pattern=_HEADER_NAME.replace("{1,100}", "{0,100}"))
    ] = ""
    max_ttl_s: Annotated[int, Field(ge=60, le=604_800)] = 172_800
    ca_file: Annotated[Authorities, AUTHORITIES] = None
    connections: Annotated[int, Field(ge=1, le=1_000)] = 64
    timeout_s: Annotated[float, Field(ge=0.1, le=900)] = 30.0

    def documents(self) -> Mapping[str, Any]:
        """What may hold placeholders, by the name of its key."""
        return {"headers": self.headers, "query": self.query, "body": self.body, "form": self.form}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.body is not None and self.form is not None:
            raise PydanticCustomError(TOLD, "has one of body, which is JSON, and form")
        if self.method == "GET" and (self.body is not None or self.form is not None):
            raise PydanticCustomError(TOLD, "method GET has no body and no form; say it in query")
        if self.receipts_by_id and not self.id_at:
            raise PydanticCustomError(TOLD, "receipts_by_id needs id_at")
        told = {SECRET_PREFIX + each.name for each in self.secrets}
        for key, document in self.documents().items():
            for name in sorted(names(document)):
                if name.startswith(SECRET_PREFIX) and name not in told:
                    raise PydanticCustomError(
                        TOLD, "{key} has {name}, and secrets has no such name", {"key": key, "name": f"{{{{{name}}}}}"}
                    )
        return self
