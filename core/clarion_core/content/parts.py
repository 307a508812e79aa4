"""The texts that a channel's message is made of, each a template, and what becomes of what it renders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from clarion_core.content.types import AMP, BODY, HTML, SMS, SUBJECT, TEXT, Form
from clarion_core.domain.content import (
    MAX_SMS_CHARACTERS,
    Content,
    EmailContent,
    PushContent,
    SmsContent,
    WebhookContent,
)
from clarion_core.domain.transliteration import transliterated
from clarion_core.push.limits import COLLAPSE_ID_MAX

MOST = 2 * 1024 * 1024
"""Characters a rendered text may have."""

# A run of controls and line ends, with the white space around it: one blank in a line.
_BREAKS = re.compile(r"\s*[\x00-\x1f\x7f-\x9f\u2028\u2029]+\s*")
_LINE_ENDS = re.compile(r"\r\n?|[\x85\u2028\u2029]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MOST_BADGE = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One text of a message. `name` is its path in the contract; `source` its template, of a JSON part the document.

    What is rendered has `most` characters and `most_bytes` of UTF-8 at most. `near`: it is written in near characters
    of the GSM alphabet. Of the parts that `says` marks, one at least must not be empty.
    """

    name: str
    source: object
    form: Form
    most: int = MOST
    most_bytes: int = 4 * MOST
    near: bool = False
    says: bool = False


def parts(content: Content) -> list[Part]:
    """The texts of a content that are there, in the order in which they are rendered."""
    match content:
        case EmailContent():
            found = _email(content)
        case SmsContent():
            found = _sms(content)
        case PushContent():
            found = _push(content)
        case WebhookContent():
            return [Part(name=BODY, source=content.body, form=Form.JSON)]
    return [part for part in found if part.source]


def finished(part: Part, text: str) -> str:
    """A rendered text as it is sent. `ValueError` says why it can't be; it repeats nothing of it."""
    if len(text) > MOST:
        raise ValueError(f"is longer than {MOST:,} characters")
    finish = _FINISH.get(part.form)
    if finish is None:
        return text
    text = transliterated(finish(text)) if part.near else finish(text)
    if len(text) > part.most:
        raise ValueError(f"is longer than {part.most:,} characters")
    if part.most_bytes < 4 * len(text) and len(text.encode("utf-8", "replace")) > part.most_bytes:
        raise ValueError(f"is longer than {part.most_bytes:,} bytes")
    return text


def _email(email: EmailContent) -> Iterator[Part]:
    yield Part(name=SUBJECT, source=email.subject, form=Form.LINE)
    yield Part(name=HTML, source=email.html, form=Form.WHOLE)
    yield Part(name=TEXT, source=email.text, form=Form.WHOLE)
    yield Part(name=AMP, source=email.amp, form=Form.WHOLE)
    for index, mailbox in enumerate(email.cc):
        yield Part(name=f"email.cc[{index}]", source=mailbox, form=Form.LINE, most=500)
    for name, value in email.headers.items():
        yield Part(name=f"email.headers.{name}", source=value, form=Form.LINE, most=500)
    for index, way in enumerate(email.list_unsubscribe):
        yield Part(name=f"email.list_unsubscribe[{index}]", source=way, form=Form.LINE, most=900)


def _sms(sms: SmsContent) -> Iterator[Part]:
    yield Part(name=SMS, source=sms.text, form=Form.NOTE, most=MAX_SMS_CHARACTERS, near=sms.transliterate, says=True)


def _push(push: PushContent) -> Iterator[Part]:
    if not push.silent:
        yield Part(name="push.title", source=push.title, form=Form.LINE, says=True)
        yield Part(name="push.body", source=push.body, form=Form.NOTE, says=True)
    for name in ("link", "image", "thread_id"):
        yield Part(name=f"push.{name}", source=getattr(push, name), form=Form.LINE)
    yield Part(name="push.collapse_id", source=push.collapse_id, form=Form.LINE, most_bytes=COLLAPSE_ID_MAX)
    yield Part(name="push.badge", source=push.badge, form=Form.NUMBER)
    for index, button in enumerate(push.buttons):
        yield Part(name=f"push.buttons[{index}].title", source=button.title, form=Form.LINE)
        yield Part(name=f"push.buttons[{index}].link", source=button.link, form=Form.LINE)
    for name, value in push.data.items():
        yield Part(name=f"push.data.{name}", source=value, form=Form.NOTE)


def _line(text: str) -> str:
    return text.strip() if text.isprintable() else _BREAKS.sub(" ", text).strip()


def _note(text: str) -> str:
    return text.strip() if text.isprintable() else _CONTROLS.sub("", _LINE_ENDS.sub("\n", text)).strip()


def _number(text: str) -> str:
    text = _line(text)
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _MOST_BADGE):
        raise ValueError("is not a whole number from 0 on")
    return text


_FINISH: Mapping[Form, Callable[[str], str]] = {Form.LINE: _line, Form.NOTE: _note, Form.NUMBER: _number}
