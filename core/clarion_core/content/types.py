"""What rendering takes and gives.

Values of callers are JSON values in two forms: plain mappings, which templates see, and `Packed`, their msgpack, which
is how the store keeps them and how they travel to the process that renders. Whoever only passes them on never unpacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from clarion_core.domain.campaign import Definition
from clarion_core.domain.medium import Channel
from clarion_core.domain.recipient import Recipient

# The names of templates, as in the contract. Those of notifications are `push.` and their field.
SUBJECT, HTML, TEXT = "email.subject", "email.html", "email.text"
AMP = "email.amp"
SMS, BODY = "sms.text", "webhook.body"

ESCAPED = frozenset({HTML, AMP})
"""The templates that make markup: values are escaped in them."""

TOO_LARGE = "is nested too deeply or too large to compile"


class Form(StrEnum):
    """What a rendered text is sent as."""

    WHOLE = "whole"  # as it is
    LINE = "line"  # one line, no controls, nothing blank around it
    NOTE = "note"  # plain text with line breaks and no other controls, nothing blank around it
    NUMBER = "number"  # the digits of a whole number, or nothing
    JSON = "json"  # a document; its strings are templates


Packed = msgspec.Raw
Plain = dict[str, object]
ValuesT = TypeVar("ValuesT", Packed, Plain)

_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A campaign revision to render: `key` is unique over workspaces, campaigns and revisions."""

    key: str
    campaign_id: str
    definition: Definition


class RenderRequest(msgspec.Struct, Generic[ValuesT], frozen=True, kw_only=True, gc=False):
    """One recipient's message. `context` is the recipient's own, `shared` the trigger's: both as they were given.

    `email` and `phone` are addresses, empty where there is none.
    """

    user_id: str
    email: str
    locale: str
    profile: ValuesT
    context: ValuesT
    shared: ValuesT
    phone: str = ""


class RenderedTexts(msgspec.Struct, array_like=True, tag=0, frozen=True, kw_only=True, gc=False):
    """A message's texts in UTF-8, by the names of their templates; what the campaign does not say is not there.

    Bytes, because nobody between the template and the wire reads most of them.
    """

    texts: dict[str, bytes]

    def get(self, name: str) -> str:
        """A text, empty where it is not there."""
        return self.texts.get(name, b"").decode()


class RenderFailure(msgspec.Struct, array_like=True, tag=1, frozen=True, kw_only=True, gc=False):
    """A message that can't be rendered. `detail` says where and why, with no data: `email.html, line 3: KeyError`."""

    detail: str


class LimitReached(msgspec.Struct, array_like=True, tag=2, frozen=True, kw_only=True, gc=False):
    """Work that was stopped because it took too long, or needed too much memory. `place` as in a failure's detail.

    No verdict: what was done before may have left the process short. Done again in a fresh process, it is one.
    """

    place: str
    memory: bool


Rendered = RenderedTexts | RenderFailure


class TemplateCheck(msgspec.Struct, array_like=True, frozen=True, kw_only=True, gc=False):
    """A template to look into. `path` is where it stands in the request, `known` the names that somebody gives."""

    name: str
    source: str
    path: str
    known: list[str]
    form: Form = Form.WHOLE


class TemplateProblem(msgspec.Struct, array_like=True, frozen=True, kw_only=True, gc=False):
    """One thing wrong with a content. `path` is the field; line and column count from 1 and are 0 outside templates."""

    path: str
    line: int
    column: int
    message: str

    @property
    def where(self) -> str:
        """`path:line:column`, or the path alone outside templates."""
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path


def packed(values: Mapping[str, object]) -> Packed:
    """Values as they travel."""
    return Packed(_encode(values))


def packed_request(recipient: Recipient, shared: Mapping[str, object]) -> RenderRequest[Packed]:
    """What a recipient that is at hand as a whole would be sent."""
    return RenderRequest(
        user_id=recipient.user_id,
        email=recipient.addresses.get(Channel.EMAIL, ""),
        phone=recipient.addresses.get(Channel.SMS, ""),
        locale=recipient.locale,
        profile=packed(recipient.profile),
        context=packed(recipient.context),
        shared=packed(shared),
    )
