"""The `clarion` command."""

from __future__ import annotations

import importlib.metadata
import sys

import typer

from clarion_client.cli import apply, campaigns, deliveries, triggers
from clarion_client.cli.exits import MEANING
from clarion_client.cli.session import Session, command, defect

_EXITS = "\b\nExit codes:\n" + "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANING.items())

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Trigger campaigns, and see what becomes of every recipient.",
    epilog=_EXITS,
)
command(app)(apply.apply)
app.add_typer(campaigns.app, name="campaigns")
command(app)(triggers.trigger)
app.add_typer(triggers.app, name="triggers")
command(app)(triggers.watch)
app.add_typer(deliveries.app, name="deliveries")


@command(app)
async def version(session: Session) -> None:
    """Say which version this is."""
    number = importlib.metadata.version("clarion")
    if session.out.as_json:
        session.out.document({"version": number, "contract": "clarion.v1"})
    session.out.done(f"clarion {number} (contract clarion.v1)")


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        app(prog_name="clarion")
    except Exception as error:
        sys.exit(defect(error))
