"""Runs the stack's programs together: up in order, down in the reverse order, restarted in between."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from clarion_stack.child import Backoff, Child, Output, Program


class Supervisor:
    """Programs in stages. A stage starts when the one before it is ready, its programs together.

    As an async context manager: inside, everything runs and what dies is started again, but for a program that may end
    and did; on leaving, the stages drain one after the other, the last one first. If a program does not come up, what
    was started is stopped again and StackError raised.
    """

    def __init__(self, stages: Sequence[Sequence[Program]], output: Output, backoff: Backoff | None = None) -> None:
        backoff = backoff or Backoff()
        self._stages = [[Child(program, output, backoff) for program in stage] for stage in stages]

    def pid(self, name: str) -> int | None:
        """The process of the program called `name`, if it runs."""
        return next((child.pid for child in self._children() if child.program.name == name), None)

    async def __aenter__(self) -> Self:
        try:
            for stage in self._stages:
                outcomes = await asyncio.gather(*(child.start() for child in stage), return_exceptions=True)
                for failure in filter(None, outcomes):
                    raise failure
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    def kill(self) -> None:
        """End everything at once. Leaving the context is then immediate."""
        for child in self._children():
            child.kill()

    async def _stop(self) -> None:
        for stage in reversed(self._stages):
            await asyncio.gather(*(child.stop() for child in stage))

    def _children(self) -> Iterator[Child]:
        return (child for stage in self._stages for child in stage)


@contextlib.contextmanager
def interruptible(at_once: Callable[[], None]) -> Iterator[None]:
    """Inside, the first SIGINT or SIGTERM cancels the running task, so that it drains; further ones call `at_once`."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    interrupts = iter([task.cancel])
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, lambda: next(interrupts, at_once)())
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
