"""The main job, end to end: a campaign from files, real orders, real messages, every recipient accounted for."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from clarion.v1.delivery_pb2 import Delivery
from clarion_client import Clarion, connect
from clarion_client.cli import bulk
from clarion_core.domain.medium import Channel
from clarion_stack.accounting import Account
from clarion_stack.errors import StackError
from clarion_stack.lines import LogFiles
from clarion_stack.lists import prepare_lists
from clarion_stack.local import Caught, LocalStack, script
from clarion_stack.mailbox import Mailbox
from clarion_stack.received import show_received
from clarion_stack.report import show_report, show_report_by_channel
from clarion_stack.supervisor import Supervisor, interruptible


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a demo triggers: the campaign in `campaigns/`, for the recipients in a file, one call each.

    Mail to the address `bounced`, which is `bounced_user`'s, comes back. The phone number `stopped` has asked for no
    more messages. What `shown` gets is shown.
    """

    campaign: str
    recipients: str
    bounced: str
    bounced_user: str
    stopped: str = ""
    shown: str = ""


PLANS: Mapping[Caught, Plan] = {
    Caught.EMAIL: Plan(
        campaign="order-confirmation",
        recipients="orders.jsonl",
        bounced="noah.hart@post.test",
        bounced_user="c-10001",
    ),
    Caught.ALL: Plan(
        campaign="order-update",
        recipients="parcels.jsonl",
        bounced="juergen.mueller17@post.test",
        bounced_user="c-20003",
        stopped="+33639980006",
        shown="c-20002",
    ),
}
TOGETHER = 32

# A healthy stack needs seconds. What is not accounted for by then is reported as such.
PATIENCE_S = 120.0


async def run(stack: LocalStack, plan: Plan, examples: Path, console: Console) -> bool:
    """Show the main job on a stack of its own. Whether every recipient is accounted for."""
    with stack.claimed(), LogFiles(stack.logs) as log_files:
        _forget_earlier_messages(stack, console)
        supervisor = Supervisor(stack.stages(), log_files)
        with interruptible(supervisor.kill):
            catcher = "a catcher of every channel's messages" if stack.peers else "a mail catcher"
            console.print(f"Starting a store, {catcher}, a server and a worker …")
            async with supervisor:
                console.print(f"The server listens on {stack.listen}; its log is {log_files.directory}/server.log\n")
                await prepare_lists(stack.redis_url, examples / plan.recipients, plan.stopped)
                account = await _main_job(stack, plan, examples, console)
    # The catcher has ended: its page is complete.
    if plan.shown:
        show_received(
            console, Mailbox(stack.mailbox), [each for each in account.deliveries if each.user_id == plan.shown]
        )
    show = show_report_by_channel if stack.peers else show_report
    show(console, account, page=stack.page, logs=log_files.directory)
    console.print("A stack of your own to try things on:  make up", highlight=False)
    return account.closes


def _forget_earlier_messages(stack: LocalStack, console: Console) -> None:
    """So that the page shows this run; what others sent into the mailbox stays."""
    if gone := Mailbox(stack.mailbox, stack.mark).clear():
        console.print(f"Removed {gone:,} messages of an earlier demo from {stack.mailbox}", soft_wrap=True)


async def _main_job(stack: LocalStack, plan: Plan, examples: Path, console: Console) -> Account:
    await _apply(stack, examples / "campaigns" / plan.campaign, console)
    with _progress(console) as progress:
        async with connect(stack.listen) as clarion:
            tally = await _trigger(clarion, plan.campaign, examples / plan.recipients, progress)
            deliveries = await _follow(clarion, tally.triggers, progress)
            sent = [each for each in deliveries if each.state == Delivery.STATE_SENT]
            returned = [each for each in sent if each.channel == Channel.EMAIL and each.user_id == plan.bounced_user]
            told = [each for each in sent if each.channel == Channel.SMS]  # the phone says that it has them
            deliveries = await _with_feedback(clarion, deliveries, [*returned, *told])
    mailbox = Mailbox(stack.mailbox)
    caught = sum((mailbox.message_ids(channel) for channel in Channel), Counter[str]())
    return Account(tally=tally, deliveries=deliveries, caught=caught, returned=len(returned), told=len(told))


async def _apply(stack: LocalStack, directory: Path, console: Console) -> None:
    """As a user does it."""
    console.print(f"[dim]$[/dim] clarion apply --activate {directory}", soft_wrap=True)
    environment = {**stack.environment(), "CLARION_SERVER": stack.listen, "CLARION_WORKSPACE": "default"}
    command = [script("clarion"), "apply", "--activate", str(directory)]
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    if await process.wait() != 0:
        raise StackError(f"{directory} could not be applied")


async def _trigger(clarion: Clarion, campaign: str, recipients: Path, progress: Progress) -> bulk.Tally:
    task = progress.add_task("triggered", total=bulk.count_lines(recipients))
    run = bulk.Run(clarion, campaign, lambda tally: progress.update(task, completed=tally.lines))
    # As a run of its own: a second demo sends again instead of learning that all is done.
    return await run.send(bulk.read_lines(recipients, run_id=secrets.token_hex(8)))


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


async def _with_feedback(
    clarion: Clarion, deliveries: Sequence[Delivery], awaited: Sequence[Delivery]
) -> list[Delivery]:
    """The deliveries, once it was heard what became of the awaited ones, or that is not to be expected any more."""
    again: dict[str, Delivery] = {}

    async def hear(trigger: str) -> None:
        names = [each.name for each in awaited if each.name.startswith(f"{trigger}/")]
        async with contextlib.aclosing(clarion.watch_trigger(trigger, feedback=True)) as steps:
            async for _ in steps:
                found = [await clarion.get_delivery(name) for name in names]
                again.update({each.name: each for each in found})
                if all(each.facts for each in found):
                    return

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            await _for_each(list({each.name.partition("/deliveries/")[0] for each in awaited}), hear)
    return [again.get(each.name, each) for each in deliveries]


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
