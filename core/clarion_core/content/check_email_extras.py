"""What is wrong with what goes with an e-mail besides its texts: copies, files, header fields."""

from __future__ import annotations

from collections.abc import Iterator

from clarion_core.addresses import check_email, parse_mailbox
from clarion_core.content.files import id_problem, type_problem
from clarion_core.content.types import AMP
from clarion_core.domain.content import EmailContent

Problem = tuple[str, str]

_SCHEMES = ("https://", "mailto:")
_AMP_MARKS = ("amp4email", "\u26a14email")  # one of them stands in <html> (amp.dev, AMP for Email)


def problems(email: EmailContent) -> Iterator[Problem]:
    """What is wrong with an e-mail, apart from its sender, its texts and its templates."""
    if email.amp and not any(mark in email.amp for mark in _AMP_MARKS):
        yield AMP, "is no AMP document: it begins with <html amp4email>"
    yield from _copies(email)
    yield from _files(email)
    for name in email.headers:
        if name.lower().startswith("x-clarion-"):
            yield f"email.headers.{name}", "is Clarion's own; choose another name"
    for index, way in enumerate(email.list_unsubscribe):
        if not way.startswith(_SCHEMES) and not way.startswith("{"):
            yield f"email.list_unsubscribe[{index}]", "must be an https:// or a mailto: URI"


def _copies(email: EmailContent) -> Iterator[Problem]:
    for index, mailbox in enumerate(email.cc):
        if "{" not in mailbox:
            try:
                parse_mailbox(mailbox)
            except ValueError as error:
                yield f"email.cc[{index}]", str(error)
    for index, address in enumerate(email.bcc):
        try:
            check_email(address)
        except ValueError as error:
            yield f"email.bcc[{index}]", str(error)


def _files(email: EmailContent) -> Iterator[Problem]:
    ids = [file.content_id for file in email.attachments if file.content_id]
    for index, file in enumerate(email.attachments):
        path = f"email.attachments[{index}]"
        if not file.name.strip():
            yield f"{path}.name", "is required"
        if wrong := type_problem(file.content_type):
            yield f"{path}.content_type", wrong
        if wrong := id_problem(file.content_id):
            yield f"{path}.content_id", wrong
        if file.content_id and ids.count(file.content_id) > 1:
            yield f"{path}.content_id", "stands at another file, too"
