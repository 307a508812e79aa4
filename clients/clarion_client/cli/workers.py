"""`clarion workers`: watch the workers and their lanes, and steer them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from clarion.v1.worker_pb2 import Lane
from clarion_client import short_name
from clarion_client.cli import worker_views as views
from clarion_client.cli.arguments import LaneArgument, LimitOption, RequestIdOption, ThrottleArgument, WorkerArgument
from clarion_client.cli.output import as_dict
from clarion_client.cli.session import Session, command

STUCK_PAGE = 500  # batches that a call looks through, and fewer that it finds


class _ListUnlessTold(TyperGroup):
    """A group that lists where no command is named: `clarion workers --output json`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ListUnlessTold, help="Watch the workers and their lanes, and steer them. Without a command: list the workers."
)
throttle = typer.Typer(no_args_is_help=True, help="Limits that hold in place of the configured ones, until cleared.")
app.add_typer(throttle, name="throttle")


@command(app, "list")
async def list_(session: Session, limit: LimitOption = 0) -> None:
    """List the workers: where they run, what they have in hand, when they gave the last sign of life."""
    found = session.clarion.list_workers()
    await session.out.messages(found, views.worker_list, limit=limit, nothing="no workers: nothing is being sent")


@command(app)
async def lanes(session: Session) -> None:
    """List the lanes: how many batches wait, since when, and whether it is paused."""
    await session.out.messages(session.clarion.list_lanes(), views.lane_list, limit=0, nothing="no lanes")


@command(app)
async def batches(
    session: Session,
    stuck: Annotated[bool, typer.Option("--stuck", help="Only those that should have moved and have not.")] = False,
    limit: LimitOption = 0,
) -> None:
    """List the batches that are not settled, whose they are, and until when."""
    found = session.clarion.list_batches(stuck_only=stuck, page_size=STUCK_PAGE if stuck else 0)
    nothing = "no batch is stuck" if stuck else "no open batches"
    await session.out.messages(found, views.batch_list, limit=limit, nothing=nothing)


@command(app)
async def drain(session: Session, worker: WorkerArgument, request_id: RequestIdOption = "") -> None:
    """Have a worker finish what is in flight, hand the rest back, and end with exit code 0."""
    told = await session.clarion.drain_worker(worker, request_id=request_id)
    if session.out.as_json:
        session.out.document(as_dict(told))
    how = "drains, and ends then" if told.HasField("start_time") else "has ended"
    session.out.done(Text(short_name(told.name), "bold").append(f" {how}", "default"))


@command(app, "pause-lane")
async def pause_lane(session: Session, lane: LaneArgument, request_id: RequestIdOption = "") -> None:
    """Have workers take nothing new from a lane, until it is resumed; what they have in hand goes on."""
    _say(session, await session.clarion.pause_lane(lane, request_id=request_id))


@command(app, "resume-lane")
async def resume_lane(session: Session, lane: LaneArgument, request_id: RequestIdOption = "") -> None:
    """Have workers take from a lane again."""
    _say(session, await session.clarion.resume_lane(lane, request_id=request_id))


def _say(session: Session, lane: Lane) -> None:
    if session.out.as_json:
        session.out.document(as_dict(lane))
    how = "is paused: workers leave it alone within a second" if lane.paused else "is not paused"
    session.out.done(Text(short_name(lane.name), "bold").append(f" {how}", "default"))


@command(throttle, "list")
async def list_throttles(session: Session, limit: LimitOption = 0) -> None:
    """List the limits that are set, of all workspaces."""
    found = session.clarion.list_throttles()
    await session.out.messages(found, views.throttle_list, limit=limit, nothing="no throttles are set")


@command(throttle, "set")
async def set_throttle(
    session: Session,
    name: ThrottleArgument,
    rate: Annotated[
        float, typer.Argument(min=0.1, max=1_000_000, metavar="RATE", help="Deliveries handed over a second, at most.")
    ],
    burst: Annotated[
        int, typer.Option(min=0, max=1_000_000, metavar="N", help="So many at once after a pause; 0: a second's worth.")
    ] = 0,
    request_id: RequestIdOption = "",
) -> None:
    """Set a limit, or change it, while everything runs."""
    throttled = await session.clarion.set_throttle(name, rate, burst=burst, request_id=request_id)
    if session.out.as_json:
        session.out.document(as_dict(throttled))
    limit = f": {throttled.rate_per_s:g} deliveries a second, {throttled.burst:,} at once"
    session.out.done(Text(throttled.name, "bold").append(limit, "default"))


@command(throttle, "clear")
async def clear_throttle(session: Session, name: ThrottleArgument, request_id: RequestIdOption = "") -> None:
    """Take a limit away: what was configured holds again."""
    await session.clarion.clear_throttle(name, request_id=request_id)
    if session.out.as_json:
        session.out.document({})
    session.out.done(Text(name, "bold").append(": the configured limit holds again", "default"))
