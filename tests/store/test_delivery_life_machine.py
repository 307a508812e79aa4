"""The life of deliveries, at random: whatever workers and callers do, and in whatever order, a small model says where
every delivery must be, and the records agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from clarion_core.domain.campaign import Action, AmbiguityPolicy
from clarion_core.domain.delivery import DeliveryState
from clarion_core.domain.ids import medium_of
from clarion_core.domain.medium import Medium
from clarion_core.domain.retry import Conclusion
from clarion_core.store.accepting import AcceptPart
from clarion_core.store.batches import BatchRef, Claim, NotClaimed, Result, Step, Wanted
from clarion_core.store.connection import connect
from clarion_core.store.keys import key
from clarion_core.store.records import encode_recipient
from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from support.invariants import check
from support.records import (
    LANE,
    NOT_HANDED_OVER,
    REFUSED,
    SENT,
    UNKNOWN,
    Records,
    a_recipient,
    allowing,
    deliver,
    retry_at,
    wanted,
)

T = TypeVar("T")
ATTEMPTS = 3
CRASHES_UNTIL_SOLO = 2
POLICIES = {"least": AmbiguityPolicy.AT_LEAST_ONCE, "most": AmbiguityPolicy.AT_MOST_ONCE}
ENDS = [SENT, REFUSED, UNKNOWN, NOT_HANDED_OVER, retry_at(1), retry_at(1, ambiguous=True)]
MEDIA = (Medium.EMAIL, Medium.SMS, Medium.APNS)
campaigns = st.sampled_from(sorted(POLICIES))
owings = st.lists(st.sets(st.sampled_from(MEDIA), min_size=1), min_size=1, max_size=3)


def parts(owed: set[Medium], count: int) -> list[AcceptPart]:
    """A trigger's deliveries by these media, so many by each."""
    rows = [encode_recipient(a_recipient(index)) for index in range(count)]
    return [AcceptPart(medium=medium, configuration=f"default/{medium.channel}", rows=rows) for medium in sorted(owed)]


@dataclass
class Delivery:
    """Where the model believes a delivery is; `unsure`: a take-over or a cut-off left its last attempt open."""

    trigger: str
    campaign: str
    batch: str
    state: str = "Q"
    attempts: int = 0
    ambiguous: int = 0
    unsure: bool = False

    @property
    def is_final(self) -> bool:
        return DeliveryState(self.state).is_final

    def end(self, state: str, *, unsure: bool = False) -> None:
        self.state, self.unsure = state, unsure


@dataclass
class Hand:
    """A worker with a batch: what it opened last, whether its lease is over, whether the batch was taken from it."""

    claim: Claim
    next: int = 0
    window: list[Wanted] = field(default_factory=list)
    lapsed: bool = False
    fenced: bool = False

    @property
    def batch(self) -> str:
        return self.claim.ref.id


class Life(RuleBasedStateMachine):
    """What callers, workers and the sweep may do."""

    server: RedisServer

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.store = Store(connect(self.server.url))
        self.records = Records(self.store)
        self.worker = self.records.worker()
        self.known: dict[str, Delivery] = {}
        self.hands: list[Hand] = []
        self.gates = dict.fromkeys(POLICIES, "L")
        self.off: set[str] = set()

    def run(self, call: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await call

        return self.loop.run(awaited())

    async def jobs(self) -> list[BatchRef]:
        """The jobs of all media."""
        return [ref for medium in MEDIA for ref in await self.records.jobs(medium=medium)]

    @initialize()
    def begin(self) -> None:
        self.run(self.store.command("FLUSHALL"))
        self.run(self.store.load())
        for name, policy in POLICIES.items():
            self.run(self.records.campaign(name, ambiguity_policy=policy, retry_policy=allowing(ATTEMPTS)))

    @rule(campaign=campaigns, owed=owings, count=st.integers(1, 4))
    def accept(self, campaign: str, owed: list[set[Medium]], count: int) -> None:
        items = [self.records.item(campaign_id=campaign, parts=parts(each, count)) for each in owed]
        answers = {answer.verdict.value for answer in self.run(self.records.accept(*items))}
        if self.gates[campaign] != "L":
            assert answers == {"GATE"}
            return
        assert answers == {"CREATED"}
        for item in items:
            assert item.placement
            for place in item.placement.slices:
                for number in range(place.start, place.start + place.count):
                    page = f"{place.base}.{number // 100}"
                    self.known[f"{place.base}-{number}"] = Delivery(item.trigger_id, campaign, page)

    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        if not (jobs := self.run(self.jobs())):
            return
        ref = data.draw(st.sampled_from(jobs))
        answer = self.run(self.worker.claim(ref, lane=LANE))
        holder = next((hand for hand in self.hands if hand.batch == ref.id and not hand.fenced), None)
        if holder:
            assert answer is (NotClaimed.RECOVERED if holder.lapsed else NotClaimed.STALE)
            if holder.lapsed:
                self._taken_over(holder)
            return
        members = [each for each in self.known.values() if each.batch == ref.id and not each.is_final]
        if members and self.gates[members[0].campaign] == "P":
            assert answer is NotClaimed.PARKED
            return
        for each in members:
            if self._is_off(each):
                each.end("C")
        left = {ref_ for ref_, each in self.known.items() if each.batch == ref.id and not each.is_final}
        if left:
            assert isinstance(answer, Claim)
            assert {each.id for each in answer.deliveries} == left
            assert {medium_of(each) for each in left} == {ref.medium}
            self.hands.append(Hand(answer))
        else:
            assert answer in (NotClaimed.EMPTY, NotClaimed.PARKED)

    @precondition(lambda self: self.hands)
    @rule(data=st.data(), size=st.integers(0, 3))
    def advance(self, data: st.DataObject, size: int) -> None:
        """Outcomes of the window before, and the next window; perhaps by a worker that lost its batch."""
        hand = data.draw(st.sampled_from(self.hands))
        ended = self._ended(data, hand)
        solo = hand.claim.crashes >= CRASHES_UNTIL_SOLO
        window = wanted(hand.claim, hand.next, min(size, 1) if solo else size)
        answer = self.run(self.worker.advance(hand.claim, ended, window, solo=solo))
        if data.draw(st.booleans()):  # the answer got lost
            again = self.run(self.worker.advance(hand.claim, ended, window, solo=solo))
            assert (again.step, again.permits) == (answer.step, answer.permits)
        self._note(hand, ended)
        if hand.fenced:
            assert answer.step is Step.FENCED
            return
        hand.lapsed = False
        if self.gates[self._campaign(hand)] == "P":
            assert answer.step is Step.PAUSED
            return
        assert answer.permits == tuple(self._opened(want) for want in window)
        hand.next += len(window)
        hand.window = [want for want, ok in zip(window, answer.permits, strict=True) if ok]

    @precondition(lambda self: self.hands)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        hand = data.draw(st.sampled_from(self.hands))
        ended = self._ended(data, hand)
        answer = self.run(self.worker.finish(hand.claim, ended))
        if data.draw(st.booleans()):
            assert self.run(self.worker.finish(hand.claim, ended)).step is Step.FENCED
        self._note(hand, ended)
        retried = [self.known[result.delivery_id] for result in ended]
        rest = [each for each in self.known.values() if each.batch == hand.batch and not each.is_final]
        rest = [each for each in rest if each.state != "R" or each not in retried]
        assert answer.step is (Step.FENCED if hand.fenced else Step.HANDED_BACK if rest else Step.CLOSED)
        self.hands.remove(hand)

    @precondition(lambda self: self.hands)
    @rule(data=st.data())
    def fall_silent(self, data: st.DataObject) -> None:
        """A lease ends; the worker may be dead, or only slow."""
        hand = data.draw(st.sampled_from(self.hands))
        if not hand.fenced:
            hand.lapsed = True
            self.run(self.records.lapse(hand.batch))

    @rule()
    def sweep(self) -> None:
        lapsed = {hand.batch: hand for hand in self.hands if hand.lapsed and not hand.fenced}
        assert dict(self.run(self.records.sweep())) == dict.fromkeys(lapsed, "RECOVERED")
        for hand in lapsed.values():
            self._taken_over(hand)

    @rule(data=st.data())
    def lose_a_job(self, data: st.DataObject) -> None:
        """arq drops a job; the sweep makes it again, and takes over what else is due for it."""
        held = {hand.batch for hand in self.hands if not hand.fenced}
        jobs = [ref for ref in self.run(self.jobs()) if ref.id not in held]
        if not jobs:
            return
        ref = data.draw(st.sampled_from(jobs))
        self.run(self.store.command("DEL", f"arq:job:{{0}}:{ref.via}:{ref.id}:{ref.epoch}"))
        self.run(self.records.look_at(ref.id))
        assert (ref.id, "RECOVERED") in self.run(self.records.sweep())
        for hand in self.hands:
            if hand.lapsed and not hand.fenced:
                self._taken_over(hand)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        trigger = data.draw(st.sampled_from(sorted({each.trigger for each in self.known.values()})))
        mine = [each for each in self.known.values() if each.trigger == trigger]
        over = all(each.is_final for each in mine)
        before = self.run(self.records.triggers.cancel(trigger))
        assert before is not None
        assert before.is_final is over
        if not over:
            self.off.add(trigger)
        for each in mine:
            if each.state in "QR":
                each.end("C")

    @rule(campaign=campaigns)
    def pause_or_resume(self, campaign: str) -> None:
        action = {"L": Action.PAUSE, "P": Action.RESUME}.get(self.gates[campaign])
        if action:
            self.run(self.records.act(action, campaign))
            self.gates[campaign] = "P" if action is Action.PAUSE else "L"

    @precondition(lambda self: len(self.known) > 8)
    @rule(campaign=campaigns, really=st.integers(0, 3))
    def stop(self, campaign: str, really: int) -> None:
        if self.gates[campaign] != "S" and not really:
            self.run(self.records.act(Action.STOP, campaign))
            self.gates[campaign] = "S"

    @invariant()
    def the_records_agree(self) -> None:
        found = self.run(self._read())
        believed = {ref: (each.state, each.attempts, each.ambiguous) for ref, each in self.known.items()}
        assert {ref: at[:3] for ref, at in found.items()} == believed
        for ref, (*_, batch) in found.items():
            self.known[ref].batch = batch  # which retry batch it is, is the store's to choose
        self.run(check(self.records))

    def teardown(self) -> None:
        """Everything can be brought to its end."""
        try:
            if self.known:
                self.run(self._settle())
        finally:
            self.run(self.store.close())
            self.loop.close()

    async def _settle(self) -> None:
        for campaign, state in self.gates.items():
            if state == "P":
                await self.records.act(Action.RESUME, campaign)
        for hand in self.hands:
            if not hand.fenced:
                await self.records.lapse(hand.batch)
        await self.records.sweep()
        while jobs := await self.jobs():
            answer = await self.worker.claim(jobs[0], lane=LANE)
            if isinstance(answer, Claim):
                await deliver(self.worker, answer)
        await check(self.records)
        assert {at[0] for at in (await self._read()).values()} <= set("SFCA")
        for trigger in {each.trigger for each in self.known.values()}:
            assert (await self.records.get(trigger)).trigger.state.is_final

    async def _read(self) -> dict[str, tuple[str, int, int, str]]:
        """State, attempts, ambiguous attempts and batch of every delivery, from its ledger."""
        pages = sorted({(ref.partition("-")[0], int(ref.partition("-")[2]) // 100) for ref in self.known})
        ledgers = await self.store.commands([("HGETALL", key(0, "ledger", f"{base}.{page}")) for base, page in pages])
        rows = dict(zip(pages, ledgers, strict=True))
        found = {}
        for ref in self.known:
            base, _, number = ref.partition("-")
            page, index = divmod(int(number), 100)
            record = rows[base, page].get(str(index).encode(), b"Q|||||||").decode().split("|")
            found[ref] = (record[0], int(record[1] or 0), int(record[2] or 0), record[5] or f"{base}.{page}")
        return found

    def _is_off(self, each: Delivery) -> bool:
        return each.trigger in self.off or self.gates[each.campaign] == "S"

    def _campaign(self, hand: Hand) -> str:
        return hand.claim.campaign.partition("/")[2]

    def _ended(self, data: st.DataObject, hand: Hand) -> list[Result]:
        return [
            Result(
                delivery_id=want.delivery_id,
                trigger_id=want.trigger_id,
                attempts=want.attempt,
                conclusion=data.draw(st.sampled_from(ENDS)),
                opened=True,
            )
            for want in hand.window
        ]

    def _opened(self, want: Wanted) -> bool:
        each = self.known[want.delivery_id]
        if each.is_final or each.attempts + 1 != want.attempt:
            return False
        if self._is_off(each):
            each.end("C")
            return False
        each.state, each.attempts = "G", want.attempt
        return True

    def _note(self, hand: Hand, ended: list[Result]) -> None:
        """What the store makes of outcomes; of a fenced worker's it believes only what settles a doubt."""
        for result in ended:
            each, end = self.known[result.delivery_id], result.conclusion
            if not hand.fenced:
                self._concluded(each, end)
            elif each.unsure and each.state in "AQ" and each.attempts == result.attempts and end.state.value in "SF":
                each.end(end.state.value)
                each.ambiguous -= 1
        hand.window = []

    def _concluded(self, each: Delivery, end: Conclusion) -> None:
        each.ambiguous += end.ambiguous
        if end.state is DeliveryState.QUEUED:
            each.attempts -= 1
        if end.state is DeliveryState.RETRYING and self._is_off(each):
            each.end("A" if end.ambiguous else "C", unsure=end.ambiguous)
        else:
            each.end(end.state.value, unsure=end.state is DeliveryState.AMBIGUOUS)

    def _taken_over(self, hand: Hand) -> None:
        hand.fenced = True
        solo = hand.claim.crashes >= CRASHES_UNTIL_SOLO
        for want in hand.window:
            each = self.known[want.delivery_id]
            each.ambiguous += 1
            again = POLICIES[each.campaign] is AmbiguityPolicy.AT_LEAST_ONCE and each.attempts < ATTEMPTS
            if solo:
                each.end("F")
            else:
                each.end("Q" if again and not self._is_off(each) else "A", unsure=True)


@pytest.mark.timeout(300)  # minutes on a machine that is busy with other things
def test_whatever_happens_every_delivery_is_where_it_must_be(redis_server: RedisServer) -> None:
    Life.server = redis_server
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
