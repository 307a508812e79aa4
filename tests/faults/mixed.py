"""Faults at random under a steady load: kill -9, SIGSTOP, restarts of the store, cut connections, a full disk."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress

from faults.gate import Member
from faults.load import Load, pour
from faults.plan import Plan
from faults.stand import Stand
from support.full_disk import FullDisk

PAUSES_S = (0.4, 1.8)  # between two faults
LOOK_S = 0.05
FULL_S = 4.0  # how long the disk stays full
SETTLE_S = 90.0  # far above what is left to do when no fault comes any more
ROOM = 64 * 1024  # bytes left on the full disk
LONGER_THAN_OURS = 32 * 1024 * 1024  # bytes; the limit holds for this process' files, too


class Chaos:
    """What may happen, by weight."""

    def __init__(self, stand: Stand, plan: Plan, rng: random.Random) -> None:
        self._stand, self._plan, self._rng = stand, plan, rng
        self._waking: set[asyncio.Task[None]] = set()
        self._weights: Mapping[Callable[[], None], int] = {
            self.kill_worker: 11,
            self.stop_worker: 4,
            self.cut_worker: 2,
            self.kill_server: 2,
            self.kill_store: 1,
            self.end_store: 1,
        }

    def strike(self) -> None:
        """One fault, if somebody is there to be struck."""
        [fault] = self._rng.choices([*self._weights], [*self._weights.values()])
        fault()

    def kill_worker(self) -> None:
        if len(self._stand.running) > 1:
            self._stand.kill(self._rng.choice(self._stand.running))

    def stop_worker(self) -> None:
        if len(self._stand.running) > 2:
            member = self._rng.choice(self._stand.running)
            self._stand.stop(member)
            self._waking.add(asyncio.create_task(self._wake(member, self._rng.choice(self._plan.stands_still_s))))

    def cut_worker(self) -> None:
        if self._stand.running:
            self._stand.cut(self._rng.choice(self._stand.running))

    def kill_server(self) -> None:
        self._stand.kill_server()

    def kill_store(self) -> None:
        self._stand.restart_store(signal.SIGKILL)

    def end_store(self) -> None:
        self._stand.restart_store(signal.SIGTERM)

    async def awake(self) -> None:
        """Wait until nobody stands still."""
        await asyncio.gather(*self._waking)

    async def _wake(self, member: Member, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self._stand.go_on(member)


async def run(stand: Stand, load: Load, plan: Plan, rng: random.Random) -> None:
    """Until there were enough faults and enough was accepted; then until all of it is accounted for."""
    chaos, enough = Chaos(stand, plan, rng), asyncio.Event()
    full_at = [plan.faults * (8 - count) // 10 for count in range(plan.full_disks)]
    pouring = asyncio.create_task(pour(stand, load, plan, enough))
    try:
        while not pouring.done() and (full_at or stand.journal.count < plan.faults or accepted(stand) < plan.accepted):
            await asyncio.sleep(rng.uniform(*PAUSES_S))
            if full_at and stand.journal.count >= full_at[-1] and await fill_disk(stand):
                full_at.pop()
            else:
                chaos.strike()
    finally:
        enough.set()
        await chaos.awake()
    await pouring
    await stand.complete()
    await settle(stand)


def accepted(stand: Stand) -> int:
    """Deliveries acknowledged so far."""
    return sum(len(call.addresses) for call in stand.acknowledged)


async def settle(stand: Stand) -> None:
    """Wait until nothing is in flight by the service's word. What is still open by then, the reckoning calls lost."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_S):
            while await stand.in_flight():  # noqa: ASYNC110 - asked of another process
                await asyncio.sleep(LOOK_S)


async def fill_disk(stand: Stand) -> bool:
    """Let the store find its disk full for a while: it ends, the launcher starts it, and it ends again.

    False where that can't be done now: it is down, or its log is so short that ours would not fit either.
    """
    pid, disk = stand.store.pid("redis"), FullDisk(os.getpid(), stand.redis.directory)
    if pid is None or disk.used < LONGER_THAN_OURS:
        return False
    with disk.with_room_for(ROOM):
        while stand.store.pid("redis") == pid:  # noqa: ASYNC110 - another process has no Event for us
            await asyncio.sleep(LOOK_S)
        stand.journal.fault("full", "store")
        await asyncio.sleep(FULL_S)
    return True
