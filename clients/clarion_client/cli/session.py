"""What every command has: the connection's options, a client, an output, and an end with a meaning."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import grpc
import grpc.aio
import typer

from clarion_client import Clarion, ClarionError, RetryConfig
from clarion_client.cli.exits import Exit, exit_for
from clarion_client.cli.output import Output
from clarion_client.cli.problems import BadInput, FilesInvalid, error_block, file_block, plain_block
from clarion_client.connection import DEFAULT_SERVER, Caller, open_channel

PANEL = "Connection and output"
PATIENCE_S = 1.0
"""A connection that takes longer is said to be waited for."""


class Format(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"


@dataclass(slots=True, kw_only=True)
class Session:
    """One run of one command."""

    clarion: Clarion
    out: Output
    server: str
    command: str
    interrupted: str = field(default="")
    """What Ctrl-C says: how to go on."""

    def complain(self, error: ClarionError) -> None:
        """Show an error, and what to do about it."""
        self.out.complain(error_block(error, server=self.server, command=self.command))


Act = Callable[..., Awaitable[Exit | None]]

_COMMON: dict[str, Any] = {
    "server": (
        Annotated[
            str, typer.Option(envvar="CLARION_SERVER", metavar="HOST:PORT", help="The server.", rich_help_panel=PANEL)
        ],
        DEFAULT_SERVER,
    ),
    "workspace": (
        Annotated[
            str, typer.Option(envvar="CLARION_WORKSPACE", metavar="NAME", help="The workspace.", rich_help_panel=PANEL)
        ],
        "default",
    ),
    "timeout": (
        Annotated[
            float, typer.Option(min=0.1, metavar="SECONDS", help="For each call with repeats.", rich_help_panel=PANEL)
        ],
        10.0,
    ),
    "output": (
        Annotated[
            Format,
            typer.Option("--output", "-o", help="Tables for people, JSON for scripts.", rich_help_panel=PANEL),
        ],
        Format.TABLE,
    ),
}


def command(app: typer.Typer, name: str | None = None) -> Callable[[Act], Act]:
    """Make an async function a command.

    It is called with a Session; its further parameters become arguments and options, beside those that every command
    has. What it returns is the exit code, OK where that is None.
    """

    def register(act: Act) -> Act:
        signature = inspect.signature(act, eval_str=True)
        own = list(signature.parameters.values())[1:]
        common = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
            for key, (kind, default) in _COMMON.items()
        ]

        @functools.wraps(act)
        def run(**arguments: Any) -> None:
            common = {key: arguments.pop(key) for key in _COMMON}
            raise typer.Exit(_run(act, arguments, **common))

        parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own] + common
        run.__signature__ = signature.replace(parameters=parameters, return_annotation=None)  # type: ignore[attr-defined]  # inspect reads it
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        app.command(name)(run)
        return act

    return register


def _run(act: Act, arguments: dict[str, Any], *, server: str, workspace: str, timeout: float, output: Format) -> Exit:
    out = Output(as_json=output is Format.JSON)
    sessions: list[Session] = []

    async def call() -> Exit | None:
        # A person at a terminal would rather wait for room than repeat the command; --timeout is what bounds a call.
        retry = RetryConfig(retry_exhausted=True, max_attempts=sys.maxsize)
        caller = Caller(workspace=workspace, timeout_s=timeout, retry=retry)
        async with open_channel(server, None) as channel:
            session = Session(clarion=Clarion(channel, caller), out=out, server=server, command=act.__name__)
            sessions.append(session)
            waiting = asyncio.create_task(_say_what_is_waited_for(session, channel))
            try:
                return await act(session, **arguments)
            except ClarionError as error:
                session.complain(error)
                return exit_for(error)
            finally:
                waiting.cancel()

    try:
        return asyncio.run(call()) or Exit.OK
    except FilesInvalid as error:
        for problem in error.problems:
            out.complain(file_block(problem))
        return Exit.INVALID
    except BadInput as error:
        out.complain(plain_block(str(error)))
        return Exit.INVALID
    except KeyboardInterrupt:
        out.note("interrupted" + "".join(f"; {session.interrupted}" for session in sessions if session.interrupted))
        return Exit.INTERRUPTED


async def _say_what_is_waited_for(session: Session, channel: grpc.aio.Channel) -> None:
    await asyncio.sleep(PATIENCE_S)
    if channel.get_state() in (grpc.ChannelConnectivity.CONNECTING, grpc.ChannelConnectivity.TRANSIENT_FAILURE):
        session.out.note(f"waiting for {session.server} …")


def defect(error: BaseException) -> Exit:
    """Say that the command itself broke, where, and nothing more."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} in {place.name}, {place.filename}:{place.lineno}"
    Output(as_json=False).complain(plain_block(f"a defect of this command: {error}", f"report it: {where}"))
    return Exit.INTERNAL
