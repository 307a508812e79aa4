"""A Clarion to break: a store kept running by our launcher, a server and workers behind doors, and an SMTP sink.

Who dies is replaced at once. `async with Stand(…) as stand` ends everything on leaving.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Coroutine
from pathlib import Path

from clarion.v1.campaign_pb2 import Campaign
from clarion_client import RetryConfig
from clarion_stack.child import Backoff, Program
from clarion_stack.supervisor import Supervisor
from faults.door import Door
from faults.gate import Armory, Member, MemberGate
from faults.journal import Journal
from faults.points import STAGES, Moment, Point, Step
from faults.wire import Claims
from support.clarion import an_email
from support.journey import Journey
from support.processes import address_of

AT_LEAST_ONCE, AT_MOST_ONCE, LONG = "at-least-once", "at-most-once", "long"
CAMPAIGNS = (AT_LEAST_ONCE, AT_MOST_ONCE, LONG)
# 5.9 MB as it is sent, in 8 bits; within the 2 Mi characters of a text, and more than a connection's buffers take: a
# worker whose peer does not read is in the middle of it.
LONG_TEXT = "{% for _ in range(19) %}" + 2_000 * (51 * "€" + "\n") + "{% endfor %}"
PATIENT = RetryConfig(max_attempts=1_000, max_backoff_s=0.5)
ANSWER_S = 120.0
# The launcher's, quicker than a user's: a run has many restarts.
BACKOFF = Backoff(first_s=0.2, longest_s=2.0, healthy_s=2.0)


class Stand(Journey):
    """`settings` are those of every worker."""

    def __init__(self, directory: Path, rng: random.Random, settings: dict[str, object], program: Path | None) -> None:
        super().__init__(directory, program)
        self.journal = Journal(directory)
        self.armory = Armory(rng, self._struck)
        self.round = 0  # the round that kills at chosen points belong to
        self.workers: list[Member] = []
        self._settings = settings
        self._claims = Claims()
        self._doors: list[Door] = []
        self._count = 0
        self._store_lines: list[str] = []
        self._replacing: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Task[None] | None = None
        self._server: Member

    async def start(self, workers: int) -> None:
        """Start the server and that many workers, and make the campaigns."""
        self._listening = asyncio.create_task(self._listen())
        await self._start_server("127.0.0.1:0")
        await self.campaign(AT_LEAST_ONCE, ambiguity_policy=Campaign.AMBIGUITY_POLICY_AT_LEAST_ONCE)
        await self.campaign(
            AT_MOST_ONCE,
            ambiguity_policy=Campaign.AMBIGUITY_POLICY_AT_MOST_ONCE,
            category=Campaign.CATEGORY_MARKETING,
        )
        await self.campaign(LONG, contents=[an_email(text=LONG_TEXT)])
        await asyncio.gather(*(self._start_worker() for _ in range(workers)))

    async def start_store(self) -> None:
        """Start the store as our launcher does, which starts it again whenever it ends."""
        self.redis.claim()
        program = Program(
            name="redis", command=self.redis.command(), ready=self.redis.answers, inherited_fds=[self.redis.lock_fd]
        )
        self.store = Supervisor([[program]], self._hear_store, BACKOFF)
        await self.store.__aenter__()

    async def end_store(self) -> None:
        """End it."""
        self.store.kill()
        await self.store.__aexit__()
        self.redis.release()

    async def __aexit__(self, *error: object) -> None:
        try:
            tasks = [*self._replacing, *filter(None, [self._listening])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await super().__aexit__(*error)
            self.journal.close()
            self._write_last_words()
            for door in self._doors:
                await door.close()

    @property
    def running(self) -> list[Member]:
        """The workers that work."""
        return [member for member in self.workers if member.ready and not member.struck and not member.stopped]

    def kill(self, member: Member) -> None:
        """Kill a process, wherever it is."""
        member.kill()
        self._struck(member)

    def kill_server(self) -> None:
        """Kill the server, unless it does not serve now."""
        if self._server.ready and not self._server.struck:
            self.kill(self._server)

    def stop(self, member: Member) -> None:
        """Let a worker stand still."""
        assert member.process
        member.stopped = True
        member.process.signal(signal.SIGSTOP)
        self.journal.fault("stop", "worker", name=member.name)

    def go_on(self, member: Member) -> None:
        """Let it go on."""
        assert member.process
        member.process.signal(signal.SIGCONT)
        member.stopped = False

    def cut(self, member: Member) -> None:
        """Drop a worker's connections to the store."""
        if member.door.cut():
            self.journal.fault("cut", "worker", name=member.name)

    def restart_store(self, number: signal.Signals) -> bool:
        """End the store by this signal; the launcher starts it again. False where it is down."""
        pid = self.store.pid("redis")
        if pid is None or not self.redis.answers():
            return False
        os.kill(pid, number)
        self.journal.fault("kill" if number == signal.SIGKILL else "restart", "store")
        return True

    async def complete(self) -> None:
        """Wait until everybody who died is replaced, and raise what went wrong with that."""
        while self._replacing:
            await asyncio.gather(*self._replacing)
        if self._listening and self._listening.done():
            self._listening.result()

    async def in_flight(self) -> int:
        """Deliveries that are accepted and not finished, by the service's word."""
        counts = [(await self.client.get_campaign(name, timeout_s=ANSWER_S)).counts for name in CAMPAIGNS]
        return sum(each.in_flight for each in counts)

    async def through(self, trigger: str) -> None:
        """Wait until every recipient of a trigger is accounted for, by the service's word."""
        async for _ in self.client.watch_trigger(trigger):
            continue

    async def _listen(self) -> None:
        """Do at each stage that the sink tells of what the address asks for: `+kill-…` or `+drain-…`."""
        for count in range(1, 1_000_000):
            told = await self.sink.process.logged("reached", count)
            member = next((each for each in self.workers if each.name == told["name"] and not each.struck), None)
            if member is None or not member.process:
                continue
            if "+drain" in told["to"][0]:
                self._drain(member)
            else:
                replied = "-tell" in told["to"][0]
                moment = Moment.REPLIED if replied else STAGES[told["stage"]]
                self.armory.take(member, Point(Step.HAND_OVER, moment))

    def _drain(self, member: Member) -> None:
        assert member.process
        member.ready, member.door.hand.draining = False, True
        member.process.signal(signal.SIGTERM)
        self._care(self._retire(member))

    def _struck(self, member: Member) -> None:
        self._care(self._replace(member))

    def _care(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._replacing.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not task.exception():
            self._replacing.discard(task)  # else `complete` tells

    async def _replace(self, member: Member) -> None:
        assert member.process
        assert member.struck
        point, at = member.struck
        number = self.round
        await member.process.ended()
        await member.door.close()
        chosen = {"step": point.step, "moment": point.moment, "round": number} if point else {}
        if member.what == "server":
            self.journal.fault("kill", "server", at, **chosen)
            await self._start_server(address_of(member.process))
            return
        hand = member.door.hand
        windows = {"open": sorted(hand.opened), "perhaps": sorted(hand.perhaps)}
        self.journal.fault("kill", "worker", at, name=member.name, held=hand.held, **windows, **chosen)
        await self._succeed(member)

    async def _retire(self, member: Member) -> None:
        """Replace a worker that was told to end, unless it is killed while it does."""
        assert member.process
        code = await member.process.ended()
        if not member.struck:
            assert code == 0, member.process
            await member.door.close()
            await self._succeed(member)

    async def _succeed(self, member: Member) -> None:
        self._note(member)
        self.workers.remove(member)
        await self._start_worker()

    def note_all(self) -> None:
        """Write down what the wire says of those that live."""
        for member in self.workers:
            self._note(member)

    def _note(self, member: Member) -> None:
        hand = member.door.hand
        self.journal.note(name=member.name, fenced=hand.fenced, unsure=hand.unsure)

    async def _start_server(self, listen: str) -> None:
        member = await self._member("server")
        self._server = member
        member.process = await super(Journey, self).server(listen=listen, redis_url=member.door.url)
        member.ready = True
        if not hasattr(self, "client"):  # who comes later has the same address
            self.client = await self.client_of(member.process, PATIENT, ANSWER_S)

    async def _start_worker(self) -> None:
        member = await self._member("worker")
        self.workers.append(member)
        member.process = await self.program(
            "clarion_workers",
            redis_url=member.door.url,
            smtp_port=self.sink.port,
            smtp_helo=member.name,
            **self._settings,
        )
        await member.process.logged("working")
        member.ready = True

    async def _member(self, what: str) -> Member:
        self._count += 1
        door = Door(self.redis.socket, self._claims)
        self._doors.append(door)
        member = Member(f"{what}-{self._count}", what, door)
        await door.open(MemberGate(self.armory, member))
        return member

    def _hear_store(self, _name: str, line: str) -> None:
        self._store_lines.append(f"{time.monotonic():.3f} {line}")

    def _write_last_words(self) -> None:
        with (self.directory / "processes.log").open("w", encoding="utf-8") as log:
            for process in self._started:
                log.write(f"--- {process.pid}\n" + "".join(f"{line}\n" for line in process.lines))
            log.write("--- store\n" + "".join(f"{line}\n" for line in self._store_lines))
