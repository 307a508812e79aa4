"""`clarion-stack`: the local stack, its parts, and the demo."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from clarion_core import logs
from clarion_core.environment import load
from clarion_core.settings import CoreSettings
from clarion_stack import demo as demo_run
from clarion_stack import up as foreground
from clarion_stack.arrivals import arrivals_in
from clarion_stack.catcher import Bounce, take_mail
from clarion_stack.child import Program
from clarion_stack.errors import StackError
from clarion_stack.lines import Terminal
from clarion_stack.local import LOOPBACK, Caught, for_demo, for_use
from clarion_stack.mailbox import Mailbox
from clarion_stack.peers import Peers
from clarion_stack.redis import RedisServer
from clarion_stack.supervisor import Supervisor, interruptible

INTERRUPTED = 130

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
Directory = Annotated[Path, typer.Option(help="Where the data, the mail and the logs are kept.")]


@app.command()
def up(
    directory: Directory = Path(".clarion"),
    workers: Annotated[int, typer.Option(min=1, max=64)] = 1,
    channels: Annotated[Caught, typer.Option(case_sensitive=False, help="Whose messages are caught.")] = Caught.ALL,
) -> None:
    """Run the whole stack in the foreground; Ctrl-C drains it, a second one ends it at once."""
    _run(foreground.run(for_use(directory, workers, channels), Console()))


@app.command()
def demo(
    directory: Directory = Path(".clarion"),
    examples: Annotated[Path, typer.Option(help="Where campaigns/ and their recipients are.")] = Path("examples"),
    channels: Annotated[
        Caught,
        typer.Option(
            case_sensitive=False, help="email: a mail for every example order; all: an update on every channel."
        ),
    ] = Caught.EMAIL,
) -> None:
    """Send the example messages through a stack of its own, and account for every recipient."""
    plan = demo_run.PLANS[channels]
    closes = _run(demo_run.run(for_demo(directory, plan.bounced, channels), plan, examples, Console()))
    raise typer.Exit(INTERRUPTED if closes is None else 0 if closes else 1)


@app.command()
def redis(directory: Directory = Path(".clarion/redis")) -> None:
    """Run only the Redis-compatible server, as the stack does."""
    _run(_redis(RedisServer(directory), Console()))


_MarkOption = Annotated[str, typer.Option(help="Letters that go into the name of every message's file.")]
_BounceOption = Annotated[str, typer.Option(help="Mail to this address is kept, and comes back to its sender.")]
_InletOption = Annotated[int, typer.Option(help="The port of the mail server that takes what comes back.")]


@app.command()
def mail(
    directory: Directory = Path(".clarion/mail"),
    port: int = 0,
    host: str = LOOPBACK,
    mark: _MarkOption = "",
    bounce: _BounceOption = "",
    inlet: _InletOption = 25,
) -> None:
    """Run only the mail catcher. Port 0 takes a free one; the first line says which."""
    logs.configure(load(CoreSettings), process="mail")
    back = Bounce(address=bounce, host=host, port=inlet) if bounce else None
    _run(_catch(Mailbox(directory, mark), host, port, back, None))


@app.command(hidden=True)
def catch(
    secrets: Annotated[Path, typer.Option(help="Where the stack keeps what its programs know each other by.")],
    sms: Annotated[int, typer.Option(help="The port of the SMSC.")],
    push: Annotated[int, typer.Option(help="The port of FCM.")],
    webhook: Annotated[int, typer.Option(help="The port of the proxy that plays every webhook.")],
    directory: Directory = Path(".clarion/mail"),
    port: Annotated[int | None, typer.Option(help="The port of the mail server; none without it.")] = None,
    mark: _MarkOption = "",
    bounce: _BounceOption = "",
    inlet: _InletOption = 25,
) -> None:
    """Catch every channel's messages, as the stack has it."""
    logs.configure(load(CoreSettings), process="catcher")
    back = Bounce(address=bounce, host=LOOPBACK, port=inlet) if bounce else None
    peers = Peers(home=secrets, host=LOOPBACK, sms=sms, push=push, webhook=webhook)
    _run(_catch(Mailbox(directory, mark), LOOPBACK, port, back, peers))


def main() -> None:
    """Exit code 1: something to mend, said in one line; 2: the command line or a setting is wrong."""
    try:
        app()
    except StackError as error:
        sys.stderr.write(f"clarion-stack: {error}\n")
        raise SystemExit(1) from None


def _run(work: Coroutine[Any, Any, bool | None]) -> bool | None:
    try:
        return asyncio.run(work)
    except asyncio.CancelledError:  # interrupted, and drained
        return None


async def _redis(server: RedisServer, console: Console) -> None:
    server.claim()
    try:
        program = Program(name="redis", command=server.command(), ready=server.answers, inherited_fds=[server.lock_fd])
        supervisor = Supervisor([[program]], Terminal(console))
        with interruptible(supervisor.kill):
            async with supervisor:
                foreground.show_places(console, {"Store": server.url})
                await asyncio.Event().wait()
    finally:
        server.release()


async def _catch(mailbox: Mailbox, host: str, port: int | None, bounce: Bounce | None, peers: Peers | None) -> None:
    with interruptible(lambda: sys.exit(INTERRUPTED)):
        async with contextlib.AsyncExitStack() as running:
            arrivals = await running.enter_async_context(arrivals_in(mailbox))
            taken = None
            if port is not None:
                taken = await running.enter_async_context(take_mail(arrivals, host, port, bounce))
            if peers is not None:
                await running.enter_async_context(peers.catching(arrivals))
            logs.get(__name__).info("catching", host=host, port=taken, page=str(mailbox.page))
            await asyncio.Event().wait()


if __name__ == "__main__":
    main()
