"""A worker that died, was fenced out, or fell silent: what becomes of its batch, and what it may still say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clarion_core.domain.campaign import Action, AmbiguityPolicy
from clarion_core.domain.delivery import DeliveryState, Reason
from clarion_core.domain.retry import Conclusion
from clarion_core.domain.trigger import TriggerState
from clarion_core.store.batches import Claim, NotClaimed, Step
from clarion_core.store.keys import key
from support.records import (
    LANE,
    LEASE_MS,
    NOT_HANDED_OVER,
    QUEUE,
    REFUSED,
    RETENTION_S,
    SENT,
    UNKNOWN,
    VIA,
    Records,
    allowing,
    deliver,
    results,
    retry_at,
    wanted,
)

AT_LEAST, AT_MOST = AmbiguityPolicy.AT_LEAST_ONCE, AmbiguityPolicy.AT_MOST_ONCE


async def die(records: Records, claim: Claim) -> None:
    """The claim's worker says nothing more, its lease ends, the sweep finds it."""
    await records.lapse(claim.ref.id)
    assert await records.sweep() == [(claim.ref.id, "RECOVERED")]


async def half_sent(records: Records, **definition: object) -> tuple[str, Claim]:
    """A trigger of four: one sent and recorded, two in an open window, one not begun."""
    await records.campaign(**definition)
    trigger = await records.trigger(4)
    worker = records.worker("w1")
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim, 0, 1))
    await worker.advance(claim, results(wanted(claim, 0, 1), SENT), wanted(claim, 1, 2))
    assert await records.states(trigger) == "SGGQ"
    return trigger, claim


@pytest.mark.parametrize(("policy", "states"), [(AT_LEAST, "SQQQ"), (AT_MOST, "SAAQ")])
async def test_only_open_windows_become_ambiguous(records: Records, policy: AmbiguityPolicy, states: str) -> None:
    trigger, claim = await half_sent(records, ambiguity_policy=policy)
    await die(records, claim)
    assert await records.states(trigger) == states
    assert [record.ambiguous_attempts for record in await records.deliveries(trigger)] == [0, 1, 1, 0]
    assert [record.reason for record in await records.deliveries(trigger)][1:3] == [Reason.HANDOVER_UNKNOWN] * 2
    worker = records.worker("w2")
    again = await records.claim(worker)
    assert (again.ref.epoch, again.crashes) == (2, 0)
    assert [each.record.attempts for each in again.deliveries] == ([1, 1, 0] if policy is AT_LEAST else [0])
    await deliver(worker, again)
    stored = (await records.get(trigger)).trigger
    assert (stored.state, stored.counts.ambiguous) == (TriggerState.COMPLETED, 0 if policy is AT_LEAST else 2)


async def test_the_last_attempt_is_not_repeated_by_a_take_over(records: Records) -> None:
    trigger, claim = await half_sent(records, retry_policy=allowing(1))
    await die(records, claim)
    assert await records.states(trigger) == "SAAQ"


async def test_a_job_that_comes_back_after_the_lease_recovers_its_batch(records: Records) -> None:
    trigger, claim = await half_sent(records)
    await records.lapse(claim.ref.id)
    worker = records.worker("w2")
    assert await worker.claim(claim.ref, lane=LANE) is NotClaimed.RECOVERED
    assert await worker.claim(claim.ref, lane=LANE) is NotClaimed.STALE
    assert await records.states(trigger) == "SQQQ"
    assert [ref.epoch for ref in await records.jobs()] == [2]


async def test_a_fenced_worker_opens_nothing_and_loses_its_batch(records: Records) -> None:
    trigger, claim = await half_sent(records)
    await die(records, claim)
    late = records.worker("w1")
    assert await late.renew(0, [claim.ref]) == {claim.ref.id}
    answer = await late.advance(claim, [], wanted(claim, 3, 1))
    assert (answer.step, answer.permits) == (Step.FENCED, ())
    assert (await late.finish(claim, [])).step is Step.FENCED
    assert await records.states(trigger) == "SQQQ"
    new = await records.claim(records.worker("w2"))
    assert (await late.advance(claim, [], wanted(claim, 3, 1))).step is Step.FENCED
    assert (await records.worker("w2").advance(new, [], wanted(new))).step is Step.OPENED


@pytest.mark.parametrize("policy", AmbiguityPolicy)
@pytest.mark.parametrize(("conclusion", "state"), [(SENT, "S"), (REFUSED, "F")])
async def test_a_late_outcome_settles_what_had_to_be_called_ambiguous(
    records: Records, policy: AmbiguityPolicy, conclusion: Conclusion, state: str
) -> None:
    trigger, claim = await half_sent(records, ambiguity_policy=policy)
    await die(records, claim)
    late = results(wanted(claim, 1, 2), conclusion)
    for _ in range(2):
        assert (await records.worker("w1").advance(claim, late)).step is Step.FENCED
    assert await records.states(trigger) == f"S{state}{state}Q"
    assert {record.ambiguous_attempts for record in await records.deliveries(trigger)} == {0}
    again = await records.claim(records.worker("w2"))
    assert len(again.deliveries) == 1
    await deliver(records.worker("w2"), again)
    assert (await records.get(trigger)).trigger.state is TriggerState.COMPLETED


async def test_a_late_outcome_ends_a_trigger_that_waited_for_nothing_else(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger()
    claim = await records.claim()
    await records.worker().advance(claim, [], wanted(claim))
    await die(records, claim)
    await records.worker().advance(claim, results(wanted(claim), SENT))
    assert (await records.get(trigger)).trigger.state is TriggerState.COMPLETED
    assert await records.worker("w2").claim((await records.jobs())[0], lane=LANE) is NotClaimed.EMPTY


async def test_a_late_outcome_of_a_delivery_already_sent_again_changes_nothing(records: Records) -> None:
    trigger, claim = await half_sent(records)
    await die(records, claim)
    new = await records.claim(records.worker("w2"))
    await records.worker("w2").advance(new, [], wanted(new))
    await records.worker("w1").advance(claim, results(wanted(claim, 1, 2), REFUSED))
    assert await records.states(trigger) == "SGGG"
    await records.worker("w2").finish(new, results(wanted(new), SENT))
    await records.worker("w1").advance(claim, results(wanted(claim, 1, 2), REFUSED))
    assert await records.states(trigger) == "SSSS"
    assert [record.ambiguous_attempts for record in await records.deliveries(trigger)] == [0, 1, 1, 0]


@pytest.mark.parametrize("conclusion", [retry_at(1), UNKNOWN, NOT_HANDED_OVER])
async def test_a_late_outcome_that_settles_nothing_changes_nothing(records: Records, conclusion: Conclusion) -> None:
    trigger, claim = await half_sent(records, ambiguity_policy=AT_MOST)
    await die(records, claim)
    await records.worker("w1").advance(claim, results(wanted(claim, 1, 2), conclusion))
    assert await records.states(trigger) == "SAAQ"


async def test_an_ambiguous_window_opened_no_more_after_the_late_outcome(records: Records) -> None:
    trigger, claim = await half_sent(records)
    await die(records, claim)
    new = await records.claim(records.worker("w2"))
    await records.worker("w1").advance(claim, results(wanted(claim, 1, 2), SENT))
    opened = await records.worker("w2").advance(new, [], wanted(new))
    assert opened.permits == (False, False, True)
    assert await records.states(trigger) == "SSSG"


@pytest.mark.parametrize("call_off", ["trigger", "campaign"])
async def test_what_may_have_left_before_it_was_called_off_is_not_called_cancelled(
    records: Records, call_off: str
) -> None:
    trigger, claim = await half_sent(records)
    if call_off == "trigger":
        await records.triggers.cancel(trigger)
    else:
        await records.act(Action.STOP)
    await die(records, claim)
    assert (await records.states(trigger))[:3] == "SAA"
    for ref in await records.jobs():
        assert await records.worker().claim(ref, lane=LANE) is NotClaimed.EMPTY
    stored = (await records.get(trigger)).trigger
    assert stored.state is TriggerState.CANCELLED
    assert (stored.counts.sent, stored.counts.ambiguous, stored.counts.cancelled) == (1, 2, 1)


async def test_the_delivery_that_kills_every_worker_is_found_and_the_others_go_on(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(3)
    for crashes in range(2):
        claim = await records.claim(records.worker(f"w{crashes}"))
        assert claim.crashes == crashes
        await die(records, claim)
    worker = records.worker("w3")
    claim = await records.claim(worker)
    assert claim.crashes == 2
    first, second, third = wanted(claim)
    await worker.advance(claim, [], [first], solo=True)
    await worker.advance(claim, results([first], SENT), [second], solo=True)
    await die(records, claim)
    assert await records.states(trigger) == "SFQ"
    poison = (await records.deliveries(trigger))[1]
    assert (poison.reason, poison.ambiguous_attempts) == (Reason.POISON, 1)
    last = await records.claim(records.worker("w4"))
    assert [each.id for each in last.deliveries] == [third.delivery_id]
    await deliver(records.worker("w4"), last)
    assert (await records.get(trigger)).trigger.state is TriggerState.COMPLETED


async def test_a_recorded_outcome_shows_that_the_batch_is_no_poison(records: Records) -> None:
    await records.campaign()
    await records.trigger(3)
    for _ in range(2):
        await die(records, await records.claim())
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.advance(claim, [], wanted(claim, 0, 1), solo=True)
    await worker.finish(claim, results(wanted(claim, 0, 1), SENT))
    assert (await records.claim(worker)).crashes == 0


async def test_a_delivery_that_was_recorded_is_not_the_poison_of_the_next_crash(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(2)
    worker = records.worker()
    claim = await records.claim(worker)
    first, second = wanted(claim)
    await worker.advance(claim, [], [first], solo=True)
    await worker.advance(claim, results([first], NOT_HANDED_OVER), [second])
    await die(records, claim)
    assert await records.states(trigger) == "QQ"


async def test_the_sweep_makes_a_new_job_where_arq_lost_one(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger()
    (ref,) = await records.jobs()
    job, queue = f"{{0}}:{VIA}:{ref.id}:{ref.epoch}", key(0, "queue", QUEUE)
    for lost in [("DEL", f"arq:job:{job}"), ("ZREM", queue, job)]:
        await records.store.command(*lost)
        await records.look_at(ref.id)
        assert await records.sweep() == [(ref.id, "RECOVERED")]
        assert await records.jobs() == [ref]
    claim = await records.claim()
    assert claim.crashes == 0
    await deliver(records.worker(), claim)
    assert await records.states(trigger) == "S"


async def test_the_sweep_leaves_alone_what_goes_well(records: Records) -> None:
    await records.campaign()
    for _ in range(3):
        await records.trigger()
    waiting, leased, paused = await records.jobs()
    await records.claim(ref=leased)
    before = await records.jobs()
    for ref in (waiting, leased, paused):
        await records.look_at(ref.id)
    assert await records.sweep() == []
    assert await records.jobs() == before
    assert (await records.worker().sweep(0, 100))[0] == 0  # the next look is later


async def test_the_sweep_forgets_a_batch_that_is_not_there(records: Records) -> None:
    await records.store.command("ZADD", key(0, "open"), 0, "gone.0")
    assert await records.worker().sweep(0, 100) == (1, [])
    assert await records.worker().sweep(0, 100) == (0, [])


async def test_after_the_store_was_away_nobody_takes_over_for_a_lease(records: Records) -> None:
    trigger, claim = await half_sent(records)
    worker = records.worker("w1")
    await worker.renew(0, [claim.ref])
    await _store_was_away(records)
    await records.lapse(claim.ref.id)
    assert await records.sweep() == [(claim.ref.id, "GRACE")]
    assert await records.worker("w2").claim(claim.ref, lane=LANE) is NotClaimed.GRACE
    assert await records.states(trigger) == "SGGQ"
    assert await worker.renew(0, [claim.ref]) == set()
    assert (await worker.finish(claim, results(wanted(claim, 1, 2), SENT))).step is Step.HANDED_BACK
    assert await records.states(trigger) == "SSSQ"


async def test_the_grace_after_an_outage_ends(records: Records) -> None:
    _, claim = await half_sent(records)
    await records.worker("w1").renew(0, [claim.ref])
    await _store_was_away(records)
    await records.worker("w2").renew(0, [])
    await records.lapse(claim.ref.id)
    assert await records.sweep() == [(claim.ref.id, "GRACE")]
    assert 0 < await records.store.command("PTTL", key(0, "grace")) <= LEASE_MS
    await records.store.command("DEL", key(0, "grace"))
    await die(records, claim)


async def test_a_retry_batch_is_taken_over_like_any_other(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(2)
    worker = records.worker()
    await deliver(worker, await records.claim(worker), retry_at(1))
    claim = await records.claim(worker)
    first, second = wanted(claim)
    await worker.advance(claim, [], [first, second])
    await worker.advance(claim, results([first], SENT))
    await die(records, claim)
    assert await records.states(trigger) == "SQ"
    again = await records.claim(worker)
    assert [each.record.attempts for each in again.deliveries] == [2]
    (want,) = wanted(again)
    await worker.advance(again, [], [replace(want, attempt=3)])
    await worker.finish(again, results([want], SENT))
    assert (await records.deliveries(trigger))[1].state is DeliveryState.SENT
    assert await records.jobs() == []


async def _store_was_away(records: Records) -> None:
    """The last sign of life is as old as an outage longer than half a lease leaves it."""
    beat = int(await records.store.command("GET", key(0, "beat")))
    await records.store.command("SET", key(0, "beat"), beat - LEASE_MS)


async def test_a_late_worker_is_not_believed_about_an_attempt_that_was_not_its_own(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger()
    first = await records.claim(records.worker("w1"))
    await records.worker("w1").advance(first, [], wanted(first))
    await die(records, first)  # the message may have left
    late = await records.claim(records.worker("w2"))
    await die(records, late)  # before it opened anything
    (attempt,) = wanted(first)
    failed = Conclusion(state=DeliveryState.FAILED, reason=Reason.RENDER_FAILED)
    said = [replace(result, opened=False) for result in results([attempt], failed)]
    assert (await records.worker("w2").finish(late, said)).step is Step.FENCED
    (record,) = await records.deliveries(trigger)
    assert (record.state, record.attempts, record.ambiguous_attempts) == (DeliveryState.QUEUED, 1, 1)


async def test_what_a_late_outcome_tells_of_a_trigger_that_ended_has_its_lifetime(records: Records) -> None:
    await records.campaign(ambiguity_policy=AT_MOST)
    trigger = await records.trigger()
    claim = await records.claim()
    await records.worker().advance(claim, [], wanted(claim))
    await die(records, claim)
    assert await records.states(trigger) == "A"
    said = replace(SENT, provider_id="their-1", receipts_by_id=True)
    await records.worker().advance(claim, results(wanted(claim), said))
    assert await records.states(trigger) == "S"
    assert 0 < (await records.keys())[f"{{0}}:f:{claim.ref.id}"] <= RETENTION_S
