"""Arguments that several commands share, and how their values are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from clarion_client.cli import name_forms, times
from clarion_client.cli.name_forms import NameForm
from clarion_client.cli.problems import BadInput


def _of_form(form: NameForm) -> Callable[[str], str]:
    """A parser that passes what has the form: people get the rule in words instead of the server's pattern."""

    def parse(name: str) -> str:
        if not form.fits(name):
            raise typer.BadParameter(form.rule)
        return name

    return parse


ReadT = TypeVar("ReadT")


def read_by(read: Callable[[str], ReadT]) -> Callable[[str], ReadT]:
    """A parser whose ValueError is told as a usage error."""

    def parse(text: str) -> ReadT:
        try:
            return read(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return parse


CampaignArgument = Annotated[
    str,
    typer.Argument(metavar="CAMPAIGN", parser=_of_form(name_forms.CAMPAIGN), help="`campaigns/welcome` or `welcome`."),
]
ConfigurationArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        parser=_of_form(name_forms.CONFIGURATION),
        help="`orders-sms` or `channelConfigurations/orders-sms`.",
    ),
]
TriggerArgument = Annotated[
    str,
    typer.Argument(
        metavar="TRIGGER",
        parser=_of_form(name_forms.TRIGGER),
        help="`welcome/01…` as lists show it, or `campaigns/welcome/triggers/01…`.",
    ),
]
DeliveryArgument = Annotated[
    str,
    typer.Argument(
        metavar="DELIVERY",
        parser=_of_form(name_forms.DELIVERY),
        help="`welcome/01…/01…-1` as lists and watches show it, or the full name.",
    ),
]
WorkerArgument = Annotated[
    str,
    typer.Argument(metavar="WORKER", parser=_of_form(name_forms.WORKER), help="As `clarion workers` shows it."),
]
LaneArgument = Annotated[
    str,
    typer.Argument(metavar="LANE", parser=_of_form(name_forms.LANE), help="As `clarion workers lanes` shows it."),
]
ThrottleArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        parser=_of_form(name_forms.THROTTLE),
        help="`campaigns/welcome`, `channels/sms`, `channelConfigurations/orders-sms`, or a provider of the last two: "
        "`channels/sms/providers/main`.",
    ),
]
DeliveriesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--delivery",
        metavar="DELIVERY",
        parser=_of_form(name_forms.DELIVERY),
        help="This delivery, by its name as lists show it. Repeatable.",
    ),
]
LimitOption = Annotated[int, typer.Option(min=0, metavar="N", help="At most so many; 0: all.")]
UserIdOption = Annotated[str, typer.Option(metavar="ID", help="The recipient's user id; the address unless given.")]
LocaleOption = Annotated[
    str,
    typer.Option(metavar="TAG", parser=_of_form(name_forms.LOCALE), help="The recipient's language and region: pt-BR."),
]
RequestIdOption = Annotated[
    str,
    typer.Option(metavar="UUID", parser=_of_form(name_forms.REQUEST_ID), help="Makes the call safe to repeat."),
]
ExpireInOption = Annotated[
    timedelta | None,
    typer.Option(metavar="SPAN", parser=read_by(times.span), help="Nothing is sent later than this from now: 10m, 2h."),
]
ExpireAtOption = Annotated[
    datetime | None,
    typer.Option(
        metavar="TIME", parser=read_by(times.instant), help="Nothing is sent after this instant: 2026-11-24T08:00:00Z."
    ),
]
OrderingKeyOption = Annotated[
    str,
    typer.Option(metavar="KEY", help="What has this key goes to one user id in the order it was accepted."),
]
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        metavar="TIME",
        parser=read_by(times.instant_or_ago),
        help="Ended at or after: an instant, or how long ago: 2h.",
    ),
]
UntilOption = Annotated[
    datetime | None,
    typer.Option(metavar="TIME", parser=read_by(times.instant_or_ago), help="Ended before: written as for --since."),
]
ContextOption = Annotated[
    list[str] | None,
    typer.Option(
        "--context",
        "-c",
        metavar="KEY=VALUE|@FILE",
        help="One name of the context; the value is JSON, or text where it is none: total=12.5, order_id=A-1, "
        "ref='\"42\"'. key=@file.json takes the value and @file.json the whole context from a file. Repeatable.",
    ),
]


def parse_context(given: list[str] | None) -> dict[str, Any]:
    """The context of `--context` options; later ones win.

    typer.BadParameter where an option is none of its forms, BadInput where a file can't be used.
    """
    context: dict[str, Any] = {}
    for item in given or ():
        if item.startswith("@"):
            whole = _from_file(item[1:])
            if not isinstance(whole, dict):
                raise BadInput(f"--context {item}: the file must hold a JSON object")
            context |= whole
            continue
        key, equals, value = item.partition("=")
        if not key or not equals:
            meant = f"did you mean @{item}?" if Path(item).is_file() else "write key=value or @file.json"
            raise typer.BadParameter(f"{item!r}: {meant}", param_hint="--context")
        context[key] = _from_file(value[1:]) if value.startswith("@") else _value(value)
    return context


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _from_file(name: str) -> Any:
    try:
        return json.loads(Path(name).read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"{name}: {error.strerror}") from None
    except ValueError as error:
        raise BadInput(f"{name}: not JSON: {error}") from None
