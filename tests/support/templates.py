"""Small campaigns for tests of templates."""

from __future__ import annotations

from typing import Any

from clarion_core.content.types import RenderRequest, Revision
from clarion_core.domain.campaign import ContextField, Definition, EmailContent, FieldType
from clarion_core.domain.recipient import Recipient


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
) -> RenderRequest:
    recipient = Recipient(user_id=user_id, addresses={"email": email}, locale=locale, profile=profile or {})
    return RenderRequest(recipient=recipient, context=context or {})
