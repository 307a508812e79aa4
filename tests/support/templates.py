"""Small campaigns for tests of templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clarion_core.content.check import outside_problems, templates
from clarion_core.content.compiled import CompiledContent
from clarion_core.content.inspection import inspect
from clarion_core.content.types import (
    LimitReached,
    Packed,
    Plain,
    RenderedTexts,
    RenderFailure,
    RenderRequest,
    Revision,
    TemplateProblem,
    packed,
)
from clarion_core.domain.campaign import ContextField, Definition, FieldType
from clarion_core.domain.content import EmailContent
from clarion_core.domain.medium import Channel


def definition(
    *,
    context: tuple[str, ...] = (),
    sender: str = "Shop <orders@shop.example>",
    reply_to: str = "",
    subject: str = "Hello",
    html: str = "",
    text: str = "Hello",
    email: bool = True,
) -> Definition:
    """A definition with these templates; the names of the context are optional and of type object."""
    content = EmailContent(sender=sender, reply_to=reply_to, subject=subject, html=html, text=text)
    fields = tuple(ContextField(name=name, type=FieldType.OBJECT) for name in context)
    return Definition(display_name="Hello mail", context=fields, email=content if email else None)


def revision(key: str = "default/hello/1", **parts: Any) -> Revision:
    return Revision(key=key, campaign_id="hello", definition=definition(**parts))


def request(
    context: dict[str, object] | None = None,
    *,
    user_id: str = "u-1",
    email: str = "ada@example.com",
    locale: str = "en",
    profile: dict[str, object] | None = None,
    phone: str = "",
) -> RenderRequest[Plain]:
    """A recipient whose trigger has this context."""
    return RenderRequest(
        user_id=user_id,
        email=email,
        locale=locale,
        profile=profile or {},
        context={},
        shared=context or {},
        phone=phone,
    )


def render(
    revision: Revision, requests: Sequence[RenderRequest[Plain]], channel: Channel = Channel.EMAIL
) -> list[RenderedTexts | RenderFailure | LimitReached]:
    """What the requests become, rendered in this process."""
    content = CompiledContent(revision, channel)
    return [content.render(request) for request in requests]


def mail(subject: str = "Hello", **texts: str) -> RenderedTexts:
    """A rendered e-mail with these texts."""
    said = {"subject": subject} | texts
    return RenderedTexts(texts={f"email.{name}": text.encode() for name, text in said.items()})


def check(definition: Definition, path: str) -> list[TemplateProblem]:
    """What is wrong with a definition, looked into in this process."""
    found = [problem for template in templates(definition, path) for problem in inspect(template)]
    return [*outside_problems(definition, path), *found]


def in_transit(request: RenderRequest[Plain]) -> RenderRequest[Packed]:
    """The request as it is given to a child."""
    return RenderRequest(
        user_id=request.user_id,
        email=request.email,
        phone=request.phone,
        locale=request.locale,
        profile=packed(request.profile),
        context=packed(request.context),
        shared=packed(request.shared),
    )
