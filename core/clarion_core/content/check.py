"""What is wrong with a campaign's content, by place: what can be seen from outside, and the templates to look into.

A template is looked into in a process of its own (`Renderer.check`), since a hostile one can take any time.
"""

from __future__ import annotations

from collections.abc import Iterator

from clarion_core.addresses import parse_mailbox
from clarion_core.content.types import HTML, SUBJECT, TEXT, TemplateCheck, TemplateProblem
from clarion_core.domain.campaign import Definition
from clarion_core.domain.content import EmailContent
from clarion_core.domain.context import RESERVED


def outside_problems(definition: Definition, path: str) -> list[TemplateProblem]:
    """What is wrong with a content apart from its templates.

    `path` is where the content stands in the request, like `campaign.contents[0]`; problems are reported under it, in
    the contract's words: `campaign.contents[0].email.subject`.
    """
    if definition.email is None:
        return []
    return list(_field_problems(definition.email, path))


def templates(definition: Definition, path: str) -> list[TemplateCheck]:
    """The templates of a content, each with what is needed to look into it."""
    email = definition.email
    if email is None:
        return []
    known = sorted({field.name for field in definition.context} | RESERVED)
    sources = ((SUBJECT, email.subject), (HTML, email.html), (TEXT, email.text))
    return [
        TemplateCheck(name=name, source=source, path=f"{path}.{name}", known=known)
        for name, source in sources
        if source
    ]


def _field_problems(email: EmailContent, path: str) -> Iterator[TemplateProblem]:
    for name, mailbox in (("from", email.sender), ("reply_to", email.reply_to)):
        if not mailbox and name == "reply_to":
            continue
        try:
            parse_mailbox(mailbox)
        except ValueError as error:
            yield _outside(f"{path}.email.{name}", str(error))
    if not email.subject.strip():
        yield _outside(f"{path}.email.subject", "is required")
    if not email.html.strip() and not email.text.strip():
        yield _outside(f"{path}.email.html", "one of html and text is required")


def _outside(path: str, message: str) -> TemplateProblem:
    return TemplateProblem(path=path, line=0, column=0, message=message)
