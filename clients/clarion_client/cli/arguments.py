"""Arguments that several commands share, and how their values are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from clarion_client.cli.problems import BadInput

LimitOption = Annotated[int, typer.Option(min=0, metavar="N", help="At most so many; 0: all.")]
LocaleOption = Annotated[str, typer.Option(metavar="TAG", help="The recipient's language and region: pt-BR.")]
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
    """The context of `--context` options; later ones win. BadInput says which one can't be read."""
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
            raise BadInput(f"--context {item}: write key=value or @file.json")
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
