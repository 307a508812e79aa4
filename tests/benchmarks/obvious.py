"""The obvious build: one arq job a message, arq's defaults, Jinja2, Babel, `EmailMessage`, `aiosmtplib.send`.

What a careful team writes in an afternoon from the libraries' own documentation: templates compiled once, no pool.
"""

from __future__ import annotations

import argparse
from datetime import datetime
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

import aiosmtplib
import jinja2
from arq.connections import RedisSettings
from arq.worker import Worker, func
from babel import Locale, dates, numbers

from support.example_orders import CAMPAIGN, definition

JOB = "send_order"


async def send_order(ctx: dict[str, Any], order: dict[str, Any]) -> None:
    """The job: render one order and send it."""
    values = ctx["defaults"] | order["context"]
    values |= {"recipient": order, "profile": order["profile"]}
    message = EmailMessage()
    message["From"], message["Reply-To"] = ctx["sender"], ctx["reply_to"]
    message["To"] = order["addresses"]["email"]
    message["Subject"] = ctx["templates"].get_template("subject.j2").render(values).strip()
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="example.com")
    message.set_content(ctx["templates"].get_template("body.txt.j2").render(values))
    message.add_alternative(ctx["templates"].get_template("body.html.j2").render(values), subtype="html")
    await aiosmtplib.send(message, hostname="127.0.0.1", port=ctx["smtp_port"])


class _Environment(jinja2.Environment):
    """In `words.items` a key of the data wins over a method of the same name."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """What `obj.attribute` is in a template."""
        return obj[attribute] if type(obj) is dict and attribute in obj else super().getattr(obj, attribute)


def templates() -> jinja2.Environment:
    """The example's templates with the filters they use, straight from Babel."""
    environment = _Environment(
        loader=jinja2.FileSystemLoader(CAMPAIGN),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"money": _money, "number": _number, "date": _date}
    return environment


@jinja2.pass_context
def _money(context: jinja2.runtime.Context, value: float, currency: str) -> str:
    return str(numbers.format_currency(value, currency, locale=_locale(context)))


@jinja2.pass_context
def _number(context: jinja2.runtime.Context, value: float) -> str:
    return str(numbers.format_decimal(value, locale=_locale(context)))


@jinja2.pass_context
def _date(context: jinja2.runtime.Context, value: str, style: str = "medium") -> str:
    return str(dates.format_date(datetime.fromisoformat(value), style, locale=_locale(context)))


def _locale(context: jinja2.runtime.Context) -> Locale:
    return Locale.parse(context["recipient"]["locale"], sep="-")


def main() -> None:
    """Run its worker."""
    parser = argparse.ArgumentParser(description="the worker of the obvious build")
    parser.add_argument("--redis-socket", required=True)
    parser.add_argument("--smtp-port", type=int, required=True)
    arguments = parser.parse_args()
    email = definition().email
    assert email
    context = {
        "templates": templates(),
        "smtp_port": arguments.smtp_port,
        "defaults": {field.name: field.default for field in definition().context},
        "sender": email.sender,
        "reply_to": email.reply_to,
    }
    print('{"event": "started"}', flush=True)  # noqa: T201
    Worker(
        [func(send_order, name=JOB)], redis_settings=RedisSettings(unix_socket_path=arguments.redis_socket), ctx=context
    ).run()


if __name__ == "__main__":
    main()
