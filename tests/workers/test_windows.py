"""Shares of the window: never more than there is, first come, first served, and none lost to a cancellation."""

from __future__ import annotations

import asyncio
import random

from clarion_workers.windows import Windows


class Batches:
    """Batches that ask for a share and hold it until told."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self.order: list[int] = []
        self.held = 0
        self.most = 0

    def ask(self, name: int, wanted: int, until: asyncio.Event) -> asyncio.Task[int]:
        return asyncio.create_task(self._hold(name, wanted, until))

    async def _hold(self, name: int, wanted: int, until: asyncio.Event) -> int:
        async with self._windows.share(wanted) as size:
            self.order.append(name)
            self.held += size
            self.most = max(self.most, self.held)
            try:
                await until.wait()
            finally:
                self.held -= size
            return size


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_batch_gets_more_than_half_and_each_gets_at_least_one() -> None:
    done = asyncio.Event()
    done.set()
    batches = Batches(Windows(10))
    assert [await batches.ask(0, wanted, done) for wanted in (0, 1, 5, 6, 100)] == [1, 1, 5, 5, 5]
    assert await Batches(Windows(1)).ask(0, 7, done) == 1


async def test_more_is_never_given_than_there_is() -> None:
    batches, done = Batches(Windows(10)), asyncio.Event()
    tasks = [batches.ask(number, wanted, done) for number, wanted in enumerate((5, 3, 4, 1))]
    await settle()
    assert batches.order == [0, 1]
    done.set()
    await asyncio.gather(*tasks)
    assert batches.order == [0, 1, 2, 3]
    assert batches.most <= 10


async def test_a_small_batch_does_not_overtake_a_large_one_that_waits() -> None:
    batches, first, rest = Batches(Windows(4)), asyncio.Event(), asyncio.Event()
    holder = batches.ask(0, 2, first), batches.ask(1, 1, first)
    large, small = batches.ask(2, 2, rest), batches.ask(3, 1, rest)
    await settle()
    assert batches.order == [0, 1]
    first.set()
    await settle()
    assert batches.order == [0, 1, 2, 3]
    rest.set()
    await asyncio.gather(*holder, large, small)


async def test_a_lane_uses_what_the_others_leave_and_keeps_an_eighth_for_each() -> None:
    lanes = Windows.of_lanes(64, ("urgent", "bulk"))
    bulk, urgent, done = Batches(lanes["bulk"]), Batches(lanes["urgent"]), asyncio.Event()
    tasks = [bulk.ask(number, 100, done) for number in range(4)]
    await settle()
    assert bulk.held == 56
    tasks += [urgent.ask(number, 100, done) for number in range(2)]
    await settle()
    assert urgent.held == 8
    done.set()
    assert sum(await asyncio.gather(*tasks)) > 56 + 8
    assert bulk.most <= 56
    assert urgent.most <= 56


async def test_a_batch_that_gives_up_lets_those_behind_it_go_ahead() -> None:
    batches, done = Batches(Windows(4)), asyncio.Event()
    holder = [batches.ask(0, 2, done), batches.ask(1, 1, done)]
    large, small = batches.ask(2, 2, done), batches.ask(3, 1, done)
    await settle()
    large.cancel()
    await settle()
    assert batches.order == [0, 1, 3]
    done.set()
    await asyncio.gather(*holder, small)


async def test_a_share_given_to_a_batch_that_gave_up_at_that_moment_is_given_on() -> None:
    windows, done = Windows(2), asyncio.Event()
    batches = Batches(windows)
    first = [batches.ask(number, 1, done) for number in range(2)]
    await settle()
    given, next_one = batches.ask(2, 1, done), batches.ask(3, 1, done)
    await settle()
    done.set()
    await asyncio.sleep(0)  # both holders go on; what they give back is on its way to those that wait
    given.cancel()
    await asyncio.gather(*first, next_one)
    assert 3 in batches.order
    await _all_is_free(windows, 2)


async def test_a_share_given_back_just_after_a_batch_gave_up_breaks_nobody() -> None:
    windows, done = Windows(2), asyncio.Event()
    batches = Batches(windows)
    holders = [batches.ask(number, 1, done) for number in range(2)]
    await settle()
    waiting = batches.ask(2, 1, done)
    await settle()
    done.set()
    waiting.cancel()  # it has not learned of it yet when the holders give back
    await asyncio.gather(*holders)
    await _all_is_free(windows, 2)


async def test_nothing_is_lost_over_many_batches_that_come_and_give_up_at_random() -> None:
    chance, windows, done = random.Random(7), Windows(8), asyncio.Event()
    batches = Batches(windows)
    tasks: list[asyncio.Task[int]] = []
    for number in range(400):
        gates = [done, asyncio.Event()]
        tasks.append(batches.ask(number, chance.randint(1, 6), chance.choice(gates)))
        if chance.random() < 0.6:
            chance.choice(tasks).cancel()
        if chance.random() < 0.3:
            gates[1].set()
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert batches.most <= 8
    await _all_is_free(windows, 8)


async def _all_is_free(windows: Windows, size: int) -> None:
    done, batches = asyncio.Event(), Batches(windows)
    tasks = [batches.ask(number, 1, done) for number in range(size + 1)]
    await settle()
    assert batches.held == size
    done.set()
    await asyncio.gather(*tasks)


async def test_each_lane_tells_what_is_taken_of_its_window() -> None:
    lanes = Windows.of_lanes(64, ("transactional", "marketing"))
    async with lanes["transactional"].share(20), lanes["marketing"].share(5):
        assert {lane: windows.in_use for lane, windows in lanes.items()} == {"transactional": 20, "marketing": 5}
    assert {windows.in_use for windows in lanes.values()} == {0}
