"""Decides where processes are killed: points are armed, and whoever comes to one first dies there."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from faults.door import Door
from faults.points import Moment, Point, Step
from support.processes import Process

RENDERING_S = 0.005  # about what a batch takes from its claim to its first window


@dataclass(slots=True, eq=False)
class Member:
    """A process of ours behind its door. `ready`: it said so; `struck`: where and when it was killed."""

    name: str
    what: str  # worker, server
    door: Door
    process: Process | None = None
    ready: bool = False
    struck: tuple[Point | None, float] | None = None
    stopped: bool = False

    def kill(self, point: Point | None = None) -> None:
        """End it now, as a crash would."""
        assert self.process
        self.struck = point, time.monotonic()
        os.kill(self.process.pid, signal.SIGKILL)


@dataclass(slots=True)
class Armory:
    """The points that wait for somebody, and what is done about those that were struck."""

    rng: random.Random
    on_strike: Callable[[Member], None]
    armed: list[Point] = field(default_factory=list)

    def arm(self, points: Sequence[Point]) -> None:
        """Add points."""
        self.armed += points

    def take(self, member: Member, point: Point) -> bool:
        """Kill the process if this point is armed."""
        if member.struck or not member.process or point not in self.armed:
            return False
        self.armed.remove(point)
        if point.step is Step.RENDER:  # somewhere in it
            member.struck = point, time.monotonic()
            asyncio.get_running_loop().call_later(self.rng.uniform(0, RENDERING_S), self._end, member, point)
        else:
            self._end(member, point)
        return True

    def _end(self, member: Member, point: Point) -> None:
        member.kill(point)
        self.on_strike(member)


@dataclass(slots=True)
class MemberGate:
    """The gate of one process' door."""

    armory: Armory
    member: Member

    def strikes(self, step: Step, moment: Moment) -> bool:
        """Whether it was killed here."""
        if step is Step.CLAIM and moment is Moment.AFTER:
            step = Step.RENDER
        return self.armory.take(self.member, Point(step, moment)) and step is not Step.RENDER
