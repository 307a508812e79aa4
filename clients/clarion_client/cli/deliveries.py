"""`clarion deliveries`: what became of each recipient."""

from __future__ import annotations

from typing import Annotated

import typer

from clarion.v1.delivery_pb2 import Delivery
from clarion_client.cli import views
from clarion_client.cli.arguments import DeliveryArgument, LimitOption, TriggerArgument
from clarion_client.cli.session import Session, command

app = typer.Typer(no_args_is_help=True, help="See what became of each recipient.")

_STATES = {views.word(Delivery.State, number).lower(): number for number in Delivery.State.values() if number}


def _state(word: str) -> str:
    if word.lower() not in _STATES:
        raise typer.BadParameter(f"{word!r} is not one of {', '.join(_STATES)}")
    return word.lower()


@command(app, "list")
async def list_(
    session: Session,
    trigger: TriggerArgument,
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", parser=_state, help=f"Only these: {', '.join(_STATES)}. Repeatable."),
    ] = None,
    limit: LimitOption = 0,
) -> None:
    """List a trigger's deliveries in the order of its recipients."""
    found = session.clarion.list_deliveries(trigger, states=[_STATES[word] for word in state or ()])
    await session.out.messages(found, views.delivery_list, limit=limit, nothing="no deliveries")


@command(app)
async def get(session: Session, delivery: DeliveryArgument) -> None:
    """Show one delivery: where it stands, and why."""
    session.out.message(await session.clarion.get_delivery(delivery), views.delivery)
