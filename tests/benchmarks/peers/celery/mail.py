"""An order as a message: Jinja2's templates compiled once, Babel for prices and dates, `EmailMessage` for the MIME."""

from __future__ import annotations

import json
import os
from datetime import datetime
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from babel import Locale, dates, numbers

CAMPAIGN: dict[str, Any] = json.loads(Path(os.environ["PEER_CAMPAIGN"]).read_text("utf-8"))


def message_of(order: dict[str, Any]) -> EmailMessage:
    """The mail for one order."""
    values = CAMPAIGN["defaults"] | order["context"] | {"recipient": order, "profile": order["profile"]}
    message = EmailMessage()
    message["From"], message["Reply-To"] = CAMPAIGN["sender"], CAMPAIGN["reply_to"]
    message["To"] = order["addresses"]["email"]
    message["Subject"] = SUBJECT.render(values).strip()
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="example.com")
    message.set_content(TEXT.render(values))
    message.add_alternative(HTML.render(values), subtype="html")
    return message


class _Environment(jinja2.Environment):
    """In `words.items` a key of the data wins over a method of the same name."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """What `obj.attribute` is in a template."""
        return obj[attribute] if type(obj) is dict and attribute in obj else super().getattr(obj, attribute)


@jinja2.pass_context
def _money(context: jinja2.runtime.Context, value: float, currency: str) -> str:
    return numbers.format_currency(value, currency, locale=_locale(context))


@jinja2.pass_context
def _number(context: jinja2.runtime.Context, value: float) -> str:
    return numbers.format_decimal(value, locale=_locale(context))


@jinja2.pass_context
def _date(context: jinja2.runtime.Context, value: str, style: str) -> str:
    return dates.format_date(datetime.fromisoformat(value), style, locale=_locale(context))


def _locale(context: jinja2.runtime.Context) -> Locale:
    return _parsed(context["recipient"]["locale"])


@cache
def _parsed(tag: str) -> Locale:
    return Locale.parse(tag, sep="-")


def _environment() -> jinja2.Environment:
    environment = _Environment(
        loader=jinja2.FileSystemLoader(CAMPAIGN["templates"]),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        auto_reload=False,  # as Jinja2's documentation advises for speed
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"money": _money, "number": _number, "date": _date}
    return environment


_TEMPLATES = _environment()
SUBJECT, TEXT, HTML = (_TEMPLATES.get_template(f"{name}.j2") for name in ("subject", "body.txt", "body.html"))
