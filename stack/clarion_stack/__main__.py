"""`clarion-stack`: the local stack, its parts, and the demo."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from clarion_core import logs
from clarion_core.settings import CoreSettings, load
from clarion_stack import demo as demo_run
from clarion_stack.catcher import catch_mail
from clarion_stack.child import Program
from clarion_stack.errors import StackError
from clarion_stack.lines import Terminal
from clarion_stack.local import LOOPBACK, LocalStack, for_demo, for_use, summary
from clarion_stack.mailbox import Mailbox
from clarion_stack.redis import RedisServer
from clarion_stack.supervisor import Supervisor, interruptible

INTERRUPTED = 130

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
Directory = Annotated[Path, typer.Option(help="Where the data, the mail and the logs are kept.")]


@app.command()
def up(directory: Directory = Path(".clarion"), workers: Annotated[int, typer.Option(min=1, max=64)] = 1) -> None:
    """Run the whole stack in the foreground; Ctrl-C drains it, a second one ends it at once."""
    _run(_up(for_use(directory, workers), Console()))


@app.command()
def demo(
    directory: Directory = Path(".clarion"),
    examples: Annotated[Path, typer.Option(help="Where campaigns/ and orders.jsonl are.")] = Path("examples"),
) -> None:
    """Send every example order through a stack of its own, and account for every recipient."""
    closes = _run(demo_run.run(for_demo(directory), examples, directory / "log", Console()))
    raise typer.Exit(INTERRUPTED if closes is None else 0 if closes else 1)


@app.command()
def redis(directory: Directory = Path(".clarion/redis")) -> None:
    """Run only the Redis-compatible server, as the stack does."""
    _run(_redis(RedisServer(directory), Console()))


@app.command()
def mail(directory: Directory = Path(".clarion/mail"), port: int = 0, host: str = LOOPBACK) -> None:
    """Run only the mail catcher. Port 0 takes a free one; the first line says which."""
    logs.configure(load(CoreSettings), process="mail")
    _run(_mail(Mailbox(directory), host, port))


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


async def _up(stack: LocalStack, console: Console) -> None:
    with stack.claimed():
        supervisor = Supervisor(stack.stages(), Terminal(console))
        with interruptible(supervisor.kill):
            async with supervisor:
                _announce(console, summary(stack))
                await asyncio.Event().wait()


async def _redis(server: RedisServer, console: Console) -> None:
    server.claim()
    try:
        program = Program(name="redis", command=server.command(), ready=server.answers, inherited_fds=[server.lock_fd])
        supervisor = Supervisor([[program]], Terminal(console))
        with interruptible(supervisor.kill):
            async with supervisor:
                _announce(console, {"Store": server.url})
                await asyncio.Event().wait()
    finally:
        server.release()


async def _mail(mailbox: Mailbox, host: str, port: int) -> None:
    with interruptible(lambda: sys.exit(INTERRUPTED)):
        async with catch_mail(mailbox, host, port) as taken:
            logs.get(__name__).info("catching", host=host, port=taken, page=str(mailbox.page))
            await asyncio.Event().wait()


def _announce(console: Console, places: dict[str, str] | Any) -> None:
    table = Table.grid(padding=(0, 2))
    for what, where in places.items():
        table.add_row(f"  [bold]{what}[/bold]", where)
    console.print("\n[bold green]Clarion is up.[/bold green] Ctrl-C drains it.")
    console.print(table, soft_wrap=True)
    console.print()


if __name__ == "__main__":
    main()
