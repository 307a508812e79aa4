"""An address at random: whatever is told of it and whenever, the store decides as the domain does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from clarion_core.domain.medium import Channel
from clarion_core.domain.outcome import AddressFact
from clarion_core.domain.suppression import (
    COUNTED_MS,
    COUNTER_KEPT_MS,
    DAY_MS,
    Entry,
    SoftCounter,
    SuppressionReason,
    Target,
    TargetKind,
    VerdictKind,
    after_soft_bounce,
    after_success,
    merged,
)
from clarion_core.store.connection import connect
from clarion_core.store.store import Store
from clarion_core.store.suppressions import Suppressions, Told
from clarion_stack.redis import RedisServer
from support.lists import let_pass

T = TypeVar("T")
ADA = Target(TargetKind.ADDRESS, "ada@example.com")
THRESHOLD = 3
SOFT = {AddressFact.SOFT_REFUSAL: False, AddressFact.SOFT_BOUNCE: True}
SUCCESS = {AddressFact.TAKEN: False, AddressFact.REACHED: True}


class Life(RuleBasedStateMachine):
    """What may happen to one address of one list."""

    server: RedisServer

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.store = Store(connect(self.server.url))
        self.suppressions = Suppressions(self.store)
        self.entry: Entry | None = None
        self.counter: SoftCounter | None = None

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

    def now_ms(self) -> int:
        seconds, _ = self.run(self.store.command("TIME"))
        return 1000 * int(seconds)

    @property
    def in_force(self) -> Entry | None:
        return self.entry if self.entry and self.entry.holds(self.now_ms()) else None

    @rule(ms=st.sampled_from([DAY_MS // 2, COUNTED_MS, 30 * DAY_MS, COUNTER_KEPT_MS]))
    def time_passes(self, ms: int) -> None:
        self.run(let_pass(self.store, ms))
        if self.entry:
            lasts = self.entry.expire_ms and self.entry.expire_ms - ms
            self.entry = replace(self.entry, create_ms=self.entry.create_ms - ms, expire_ms=lasts)
        if self.counter:
            self.counter = replace(self.counter, last_ms=self.counter.last_ms - ms)

    @rule(reason=st.sampled_from(SuppressionReason), days=st.sampled_from([0, 1, 40]))
    def somebody_adds_it(self, reason: SuppressionReason, days: int) -> None:
        now = self.now_ms()
        new = Entry(target=ADA, reason=reason, source="api", create_ms=now, expire_ms=days and now + days * DAY_MS)
        self.run(self.suppressions.add("default", Channel.EMAIL, [new]))
        self.entry, self.counter = merged(self.entry, new, now_ms=now, told=True), None

    @rule()
    def somebody_removes_it(self) -> None:
        was = self.run(self.suppressions.remove("default", Channel.EMAIL, [ADA]))
        assert was == [self.in_force is not None]
        self.entry = self.counter = None

    @rule(fact=st.sampled_from([fact for fact in AddressFact if fact not in {*SOFT, *SUCCESS}]))
    def somebody_reports_the_end_of_it(self, fact: AddressFact) -> None:
        now, before = self.now_ms(), self.in_force
        new = Entry(target=ADA, reason=SuppressionReason[fact.name], source="smtp", create_ms=now)
        self.told(fact, new.reason if before is None else None)
        self.entry, self.counter = merged(self.entry, new, now_ms=now, told=False), None

    @rule(fact=st.sampled_from(sorted(SOFT)), ago_ms=st.sampled_from([None, 0, COUNTED_MS, 3 * DAY_MS, -DAY_MS]))
    def somebody_reports_a_soft_bounce(self, fact: AddressFact, ago_ms: int | None) -> None:
        """Of now, of a day that is past, or by a clock that is wrong."""
        now = self.now_ms()
        time_ms = 0 if ago_ms is None else now - ago_ms
        if self.in_force:
            self.told(fact, None, time_ms)
            return
        self.entry = None
        at_ms = min(time_ms or now, now)
        self.counter = after_soft_bounce(self.counter, at_ms=at_ms, threshold=THRESHOLD, receipt=SOFT[fact])
        self.told(fact, None if self.counter else SuppressionReason.SOFT_BOUNCES, time_ms)
        if self.counter is None:
            self.entry = Entry(target=ADA, reason=SuppressionReason.SOFT_BOUNCES, source="smtp", create_ms=now)

    @rule(fact=st.sampled_from(sorted(SUCCESS)))
    def somebody_reports_a_success(self, fact: AddressFact) -> None:
        self.told(fact, None)
        self.counter = after_success(self.counter, receipt=SUCCESS[fact])

    def told(self, fact: AddressFact, reason: SuppressionReason | None, time_ms: int = 0) -> None:
        told = [Told(address="Ada@Example.com", fact=fact, source="smtp", time_ms=time_ms)]
        assert self.run(self.suppressions.hear("default", Channel.EMAIL, told, soft_bounces=THRESHOLD)) == [reason]

    @invariant()
    def the_store_says_what_the_domain_says(self) -> None:
        (found,) = self.run(self.suppressions.verdicts("default", Channel.EMAIL, [ADA.value]))
        expected = self.in_force
        assert found.kind is (VerdictKind.ADDRESS_SUPPRESSED if expected else VerdictKind.MAY)
        assert found.counting == (expected is None and self.counter is not None and not self.counter.receipt)
        if expected:
            assert found.by
            assert (found.by.reason, found.by.source) == (expected.reason, expected.source)
            assert bool(found.by.expire_ms) == bool(expected.expire_ms)
            assert abs(found.by.expire_ms - expected.expire_ms) <= 2_000


@pytest.mark.timeout(300)  # minutes on a machine that is busy with other things
def test_the_store_decides_as_the_domain_does(redis_server: RedisServer) -> None:
    Life.server = redis_server
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
