"""The `clarion` command."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Annotated

import typer

from clarion_client.cli import (
    allow_list,
    apply,
    campaigns,
    channels,
    dead_letters,
    deliveries,
    suppressions,
    triggers,
    workers,
)
from clarion_client.cli.exits import MEANING
from clarion_client.cli.session import Session, command, defect

_EXITS = "\b\nExit codes:\n" + "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANING.items())

_NUMBER = importlib.metadata.version("clarion")
_VERSION = f"clarion {_NUMBER} (contract clarion.v1)"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Trigger campaigns, and see what becomes of every recipient.",
    epilog=_EXITS,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(_VERSION)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Options that need no command."""


command(app)(apply.apply)
app.add_typer(campaigns.app, name="campaigns")
app.add_typer(channels.app, name="channels")
command(app)(triggers.trigger)
app.add_typer(triggers.app, name="triggers")
command(app)(triggers.watch)
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(suppressions.app, name="suppressions")
app.add_typer(allow_list.app, name="allow-list")
app.add_typer(workers.app, name="workers")


@command(app)
async def version(session: Session) -> None:
    """Say which version this is."""
    if session.out.as_json:
        session.out.document({"version": _NUMBER, "contract": "clarion.v1"})
    session.out.done(_VERSION)


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        app(prog_name="clarion")
    except Exception as error:
        sys.exit(defect(error))
