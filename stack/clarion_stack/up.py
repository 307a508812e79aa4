"""The whole stack in the foreground, for people to work with."""

from __future__ import annotations

import asyncio
import contextlib

from redis.exceptions import RedisError
from rich.console import Console

from clarion_core.domain.errors import ClarionError
from clarion_core.environment import load
from clarion_core.settings import OFF, CoreSettings, ServerSettings
from clarion_core.store.connection import connect
from clarion_core.store.overview import in_flight
from clarion_core.store.store import Store
from clarion_stack.lines import LogFiles, Terminal
from clarion_stack.local import LOOPBACK, LocalStack
from clarion_stack.supervisor import Supervisor, interruptible

ON_EVERY_CHANNEL = (
    "Or on every channel:",
    "  clarion apply examples/campaigns/order-update --activate",
    "  clarion trigger order-update --to ana@example.com --phone +447700900123 --device fcm:ana1 \\",
    "    --webhook https://hooks.partner.example/ana --context @examples/parcel.json --watch",
)
COUNT_TIMEOUT_S = 2.0
ENDED_AT_ONCE = "Ended at once; what was in hand goes on at the next start."
DEFAULT_LISTEN = ServerSettings.model_fields["listen"].default


async def run(stack: LocalStack, console: Console) -> None:
    """Run it until interrupted, then drain it and say what is left; a second interrupt ends everything at once."""
    asked = _asked_level()
    # Unless asked otherwise, warnings: a line a call would carry the addresses out of sight.
    terminal = Terminal(console, asked or "warning")
    with stack.claimed(), LogFiles(stack.logs) as log_files:
        below, *above = stack.stages(redis_log=log_files)
        # Apart, so that the store still answers when those who change it have drained.
        store, others = Supervisor([below], terminal), Supervisor(above, terminal)
        cut_off = asyncio.Event()

        def end_at_once() -> None:
            cut_off.set()
            others.kill()
            store.kill()

        with interruptible(end_at_once):
            async with store:
                async with others:
                    _announce(console, stack, logs_explained=not asked)
                    with contextlib.suppress(asyncio.CancelledError):  # the interrupt, which is how this ends
                        await asyncio.Event().wait()
                left = None if cut_off.is_set() else await _left_open(stack)
    console.print(ENDED_AT_ONCE if cut_off.is_set() else _last_line(left), soft_wrap=True, highlight=False)


def _asked_level() -> str:
    """The log level that the user asked for, or nothing."""
    settings = load(CoreSettings)
    return settings.log_level if "log_level" in settings.model_fields_set else ""


async def _left_open(stack: LocalStack) -> int | None:
    """Deliveries that are not finished, or None where the store does not say so at once."""
    store = Store(connect(stack.redis_url))
    try:
        async with asyncio.timeout(COUNT_TIMEOUT_S):
            return await in_flight(store, stack.shards)
    except (ClarionError, RedisError, TimeoutError):
        return None
    finally:
        await store.close()


def _last_line(left: int | None) -> str:
    if left is None:
        return "Drained."
    if left == 0:
        return "Drained; every delivery in the store is accounted for."
    return f"Drained; deliveries still open in the store: {left:,}. They go on when a worker is back."


def _announce(console: Console, stack: LocalStack, *, logs_explained: bool) -> None:
    caught = f"{stack.page.as_uri()} (SMTP on {LOOPBACK}:{stack.smtp_port})"
    logs = "warnings and errors here; every call with CLARION_LOG_LEVEL=info"
    show_places(
        console,
        {
            "gRPC": stack.listen,
            "Store": f"{stack.redis_url} (its log: {stack.logs / 'redis.log'})" if stack.redis else "CLARION_REDIS_URL",
            "Receipts": f"http://{stack.edge}/receipts/…",
            **({"Metrics": f"http://{stack.metrics}/metrics"} if stack.metrics != OFF else {}),
            "Mail": caught if stack.smtp_port else "goes where CLARION_SMTP_HOST says",
            **({"Others": f"text messages, notifications and webhooks: {stack.page.as_uri()}"} if stack.peers else {}),
            **({"Logs": logs} if logs_explained else {}),
        },
    )
    elsewhere = "" if stack.listen == DEFAULT_LISTEN else f" && export CLARION_SERVER={stack.listen}"
    for line in (
        "Next, in another terminal:",
        f"  . .venv/bin/activate{elsewhere} && clarion apply examples/campaigns/order-confirmation --activate",
        "  clarion trigger order-confirmation --to ana@example.com --context @examples/context.json --watch",
        *(ON_EVERY_CHANNEL if stack.peers and stack.smtp_port else ()),
        "",
    ):
        console.print(line, soft_wrap=True, highlight=False)


def show_places(console: Console, places: dict[str, str]) -> None:
    """Say that it is up, and where everything is."""
    width = max(map(len, places))
    console.print("\n[bold green]Clarion is up.[/bold green] Ctrl-C drains it.")
    for what, where in places.items():
        console.print(f"  [bold]{what:<{width}}[/bold]  {where}", soft_wrap=True)
    console.print()
