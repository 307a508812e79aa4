"""Arguments that the commands of both kinds of lists share."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from clarion_client.cli.arguments import read_by
from clarion_client.cli.list_files import CHANNELS, SOURCE, SOURCE_RULE
from clarion_client.cli.times import INSTANT_RULE, SPAN_RULE, instant, span


def _channel(word: str) -> str:
    if word.lower() not in CHANNELS:
        raise typer.BadParameter(f"{word!r} is not one of {', '.join(CHANNELS)}")
    return word.lower()


def _source(text: str) -> str:
    if not re.fullmatch(SOURCE, text):
        raise typer.BadParameter(SOURCE_RULE)
    return text


def _until(text: str) -> datetime:
    for read in (instant, lambda ahead: datetime.now(UTC) + _span(ahead)):
        try:
            return read(text)
        except ValueError:
            continue
    raise ValueError(f"{INSTANT_RULE}; or how long from now: {SPAN_RULE}")


def _span(text: str) -> timedelta:
    return span(text)


ChannelOption = Annotated[str, typer.Option(metavar="CHANNEL", parser=_channel, help=f"One of {', '.join(CHANNELS)}.")]
ChannelsOption = Annotated[
    list[str] | None,
    typer.Option("--channel", metavar="CHANNEL", parser=_channel, help="Only of this channel. Repeatable."),
]
ValuesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="VALUE…", help="An address; or `@example.com`, a domain, or `@*.example.com`, all domains below it."
    ),
]
CommentOption = Annotated[str, typer.Option(metavar="TEXT", help="For people. At most 200 characters.")]
SourceOption = Annotated[
    str, typer.Option(metavar="NAME", parser=_source, help="Who makes it: up to 64 letters, digits and . _ : / @ -.")
]
ExpiresOption = Annotated[
    datetime | None,
    typer.Option(metavar="TIME", parser=read_by(_until), help="Until then: an instant, or how long from now: 30d."),
]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A CSV file; its first line names its columns.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what is wrong with the file, change nothing.")]
ToOption = Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Into this file; else to standard output.")]
PrefixOption = Annotated[str, typer.Option(metavar="TEXT", help="Only what begins with this.")]
