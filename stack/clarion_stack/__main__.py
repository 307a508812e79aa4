"""`clarion-stack`: the local stack, its parts, and the demo."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from clarion_core import logs
from clarion_core.settings import CoreSettings, load
from clarion_stack import demo as demo_run
from clarion_stack import up as foreground
from clarion_stack.catcher import Bounce, catch_mail
from clarion_stack.child import Program
from clarion_stack.errors import StackError
from clarion_stack.lines import Terminal
from clarion_stack.local import LOOPBACK, for_demo, for_use
from clarion_stack.mailbox import Mailbox
from clarion_stack.redis import RedisServer
from clarion_stack.supervisor import Supervisor, interruptible

INTERRUPTED = 130

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
Directory = Annotated[Path, typer.Option(help="Where the data, the mail and the logs are kept.")]


@app.command()
def up(directory: Directory = Path(".clarion"), workers: Annotated[int, typer.Option(min=1, max=64)] = 1) -> None:
    """Run the whole stack in the foreground; Ctrl-C drains it, a second one ends it at once."""
    _run(foreground.run(for_use(directory, workers), Console()))


@app.command()
def demo(
    directory: Directory = Path(".clarion"),
    examples: Annotated[Path, typer.Option(help="Where campaigns/ and orders.jsonl are.")] = Path("examples"),
) -> None:
    """Send every example order through a stack of its own, and account for every recipient."""
    closes = _run(demo_run.run(for_demo(directory, demo_run.BOUNCED), examples, Console()))
    raise typer.Exit(INTERRUPTED if closes is None else 0 if closes else 1)


@app.command()
def redis(directory: Directory = Path(".clarion/redis")) -> None:
    """Run only the Redis-compatible server, as the stack does."""
    _run(_redis(RedisServer(directory), Console()))


@app.command()
def mail(
    directory: Directory = Path(".clarion/mail"),
    port: int = 0,
    host: str = LOOPBACK,
    mark: Annotated[str, typer.Option(help="Letters that go into the name of every message's file.")] = "",
    bounce: Annotated[str, typer.Option(help="Mail to this address is kept, and comes back to its sender.")] = "",
    inlet: Annotated[int, typer.Option(help="The port of the mail server that takes what comes back.")] = 25,
) -> None:
    """Run only the mail catcher. Port 0 takes a free one; the first line says which."""
    logs.configure(load(CoreSettings), process="mail")
    back = Bounce(address=bounce, host=host, port=inlet) if bounce else None
    _run(_mail(Mailbox(directory, mark), host, port, back))


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


async def _mail(mailbox: Mailbox, host: str, port: int, bounce: Bounce | None) -> None:
    with interruptible(lambda: sys.exit(INTERRUPTED)):
        async with catch_mail(mailbox, host, port, bounce) as taken:
            logs.get(__name__).info("catching", host=host, port=taken, page=str(mailbox.page))
            await asyncio.Event().wait()


if __name__ == "__main__":
    main()
