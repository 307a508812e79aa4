"""The main job, end to end: a campaign from files, real orders, real messages, every recipient accounted for."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from clarion.v1.delivery_pb2 import Delivery
from clarion_client import Clarion, connect
from clarion_client.cli import bulk
from clarion_core.domain.medium import Channel
from clarion_core.domain.suppression import Target, TargetKind
from clarion_core.store.connection import connect as connect_store
from clarion_core.store.store import Store
from clarion_core.store.suppressions import Suppressions
from clarion_stack.accounting import Account
from clarion_stack.errors import StackError
from clarion_stack.lines import LogFiles
from clarion_stack.local import LocalStack, script
from clarion_stack.mailbox import Mailbox
from clarion_stack.report import show_report
from clarion_stack.supervisor import Supervisor, interruptible

CAMPAIGN = "order-confirmation"
BOUNCED, BOUNCED_USER = "noah.hart@post.test", "c-10001"
"""The recipient of the first order: the mail comes back."""
TOGETHER = 32

# A healthy stack needs seconds. What is not accounted for by then is reported as such.
PATIENCE_S = 120.0


async def run(stack: LocalStack, examples: Path, console: Console) -> bool:
    """Show the main job on a stack of its own. Whether every recipient is accounted for."""
    with stack.claimed(), LogFiles(stack.logs) as log_files:
        _forget_earlier_mail(stack, console)
        supervisor = Supervisor(stack.stages(), log_files)
        with interruptible(supervisor.kill):
            console.print("Starting a store, a mail catcher, a server and a worker …")
            async with supervisor:
                console.print(f"The server listens on {stack.listen}; its log is {log_files.directory}/server.log\n")
                await _forget_earlier_bounce(stack)
                account = await _main_job(stack, examples, console)
    # The catcher has ended: its page is complete.
    show_report(console, account, page=stack.page, logs=log_files.directory)
    return account.closes


def _forget_earlier_mail(stack: LocalStack, console: Console) -> None:
    """So that the page shows this run; what others sent into the mailbox stays."""
    if gone := Mailbox(stack.mailbox, stack.mark).clear():
        console.print(f"Removed {gone:,} messages of an earlier demo from {stack.mailbox}", soft_wrap=True)


async def _forget_earlier_bounce(stack: LocalStack) -> None:
    """Whoever's mail came back in an earlier demo is sent to again."""
    store = Store(connect_store(stack.redis_url))
    try:
        target = Target(TargetKind.ADDRESS, BOUNCED)
        await Suppressions(store).remove("default", Channel.EMAIL, [target])
    finally:
        await store.close()


async def _main_job(stack: LocalStack, examples: Path, console: Console) -> Account:
    await _apply(stack, examples / "campaigns" / CAMPAIGN, console)
    orders = examples / "orders.jsonl"
    with _progress(console) as progress:
        async with connect(stack.listen) as clarion:
            tally = await _trigger(clarion, orders, progress)
            deliveries = await _follow(clarion, tally.triggers, progress)
            returned = [
                each for each in deliveries if each.user_id == BOUNCED_USER and each.state == Delivery.STATE_SENT
            ]
            deliveries = await _with_bounces(clarion, deliveries, returned)
    caught = Mailbox(stack.mailbox).message_ids()
    return Account(tally=tally, deliveries=deliveries, caught=caught, returned=len(returned))


async def _apply(stack: LocalStack, directory: Path, console: Console) -> None:
    """As a user does it."""
    console.print(f"[dim]$[/dim] clarion apply --activate {directory}", soft_wrap=True)
    environment = {**stack.environment(), "CLARION_SERVER": stack.listen, "CLARION_WORKSPACE": "default"}
    command = [script("clarion"), "apply", "--activate", str(directory)]
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    if await process.wait() != 0:
        raise StackError(f"{directory} could not be applied")


async def _trigger(clarion: Clarion, orders: Path, progress: Progress) -> bulk.Tally:
    task = progress.add_task("triggered", total=bulk.count_lines(orders))
    run = bulk.Run(clarion, CAMPAIGN, lambda tally: progress.update(task, completed=tally.lines))
    # As a run of its own: a second demo sends again instead of learning that all is done.
    return await run.send(bulk.read_lines(orders, run_id=secrets.token_hex(8)))


async def _follow(clarion: Clarion, triggers: Sequence[str], progress: Progress) -> list[Delivery]:
    """Watch every trigger to its end, then read what became of its deliveries."""
    task = progress.add_task("accounted for", total=len(triggers))
    deliveries: list[Delivery] = []

    async def watch(trigger: str) -> None:
        async for _ in clarion.watch_trigger(trigger):
            pass
        progress.advance(task)

    async def read(trigger: str) -> None:
        deliveries.extend([delivery async for delivery in clarion.list_deliveries(trigger)])

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            await _for_each(triggers, watch)
    await _for_each(triggers, read)
    return deliveries


async def _with_bounces(
    clarion: Clarion, deliveries: Sequence[Delivery], returned: Sequence[Delivery]
) -> list[Delivery]:
    """The deliveries, once what comes back of them is there or not to be expected any more."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            for each in returned:
                await _bounce_of(clarion, each.name.partition("/deliveries/")[0])
    again = {each.name: await clarion.get_delivery(each.name) for each in returned}
    return [again.get(each.name, each) for each in deliveries]


async def _bounce_of(clarion: Clarion, trigger: str) -> None:
    async with contextlib.aclosing(clarion.watch_trigger(trigger, feedback=True)) as steps:
        async for step in steps:
            if step.snapshot.feedback.bounced or step.change.feedback.bounced:
                return


async def _for_each(names: Sequence[str], act: Callable[[str], Coroutine[None, None, None]]) -> None:
    waiting = iter(names)

    async def one_by_one() -> None:
        for name in waiting:
            await act(name)

    async with asyncio.TaskGroup() as group:
        for _ in range(TOGETHER):
            group.create_task(one_by_one())


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:>13}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)
