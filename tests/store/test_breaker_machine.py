"""A breaker at random: whoever asks, reports, is late or dies, and whenever, it makes only the moves it may make."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from clarion_core.domain.breaker import TRANSITIONS, BreakerPolicy, BreakerState, Probe, Standing, Verdict
from clarion_core.store.breakers import Breakers
from clarion_core.store.connection import connect
from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from support.breakers import let_pass

T = TypeVar("T")
POLICY = BreakerPolicy()
CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
verdicts = st.builds(Verdict, well=st.integers(0, 6), badly=st.integers(0, 6))


@dataclass
class Granted:
    """A probe somebody has, and when the right to it lapses."""

    probe: Probe
    lapses_s: float


class Life(RuleBasedStateMachine):
    """What workers may do to the breaker of one provider."""

    server: RedisServer

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.store = Store(connect(self.server.url))
        self.breakers = Breakers(self.store, channel="email")
        self.now_s = 0.0
        self.state, self.over_s, self.row = CLOSED, 0.0, 0
        self.granted: list[Granted] = []
        self.holder: Granted | None = None
        self.opening = 0  # the one that is probed

    def run(self, call: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await call

        return self.loop.run(awaited())

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()

    @initialize()
    def begin(self) -> None:
        self.run(self.store.command("FLUSHALL"))
        self.run(self.store.load())

    def moves_to(self, found: Standing) -> None:
        """It is where the model believes it to be, or one move from there."""
        if self.state is OPEN and self.now_s >= self.over_s:
            self.state = HALF_OPEN
        assert found.state is self.state or found.state in TRANSITIONS[self.state]
        if found.moved and found.state is OPEN:
            pause_s = self.pause_s()
            assert POLICY.pause_ms <= 1000 * pause_s <= POLICY.pause_max_ms
            self.over_s = self.now_s + pause_s
        self.state = found.state

    def pause_s(self) -> float:
        return round(self.run(self.breakers.look(["one"]))["one"].wait_ms / 1000)

    @rule(seconds=st.sampled_from([1, 4, 11, 40]))
    def time_passes(self, seconds: int) -> None:
        self.run(let_pass(self.store, seconds))
        self.now_s += seconds

    @rule(verdict=verdicts)
    def somebody_reports(self, verdict: Verdict) -> None:
        """Of messages handed over without a probe: they move a closed breaker alone."""
        self.told(verdict, None)

    @rule()
    def somebody_asks(self) -> None:
        """Exactly one has the right to probe, while the breaker is half-open."""
        found = self.run(self.breakers.ask(["one"]))["one"]
        self.moves_to(found)
        free = self.holder is None or self.now_s >= self.holder.lapses_s
        assert (found.probe is not None) == (self.state is HALF_OPEN and free)
        if found.probe:
            self.holder = Granted(found.probe, self.now_s + POLICY.probe_ms / 1000)
            self.granted.append(self.holder)
            self.opening = found.probe.opening

    @precondition(lambda self: self.granted)
    @rule(data=st.data(), verdict=st.sampled_from([Verdict(well=1), Verdict(badly=1), Verdict()]))
    def somebody_tells_of_a_probe(self, data: st.DataObject, verdict: Verdict) -> None:
        """In time, late, or of an opening that is long over."""
        self.told(verdict, self.granted.pop(data.draw(st.integers(0, len(self.granted) - 1))))

    def told(self, verdict: Verdict, probe: Granted | None) -> None:
        before, holder = self.state, self.holder
        found = self.run(self.breakers.report("one", verdict, probe.probe if probe else None))
        self.moves_to(found)
        if before is CLOSED:
            self.row = 0 if verdict.well else self.row + verdict.badly
            assert found.moved or self.row < POLICY.in_a_row
            assert verdict.badly or not found.moved
        elif probe and probe.probe.opening == self.opening:
            assert found.moved is (verdict.well > 0 or (verdict.badly > 0 and probe is holder))
            assert not found.moved or self.state is (CLOSED if verdict.well else OPEN)
            if probe is holder:
                self.holder = None
        else:
            assert not found.moved
        if found.moved:
            self.row, self.holder, self.opening = 0, None, 0


@pytest.mark.timeout(300)  # minutes on a machine that is busy with other things
def test_a_breaker_makes_only_the_moves_it_may_make(redis_server: RedisServer) -> None:
    Life.server = redis_server
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
