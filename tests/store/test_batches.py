"""A worker's way with a batch: claim it, open windows, record, close it or hand it back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clarion_core.domain.delivery import DeliveryState, Reason
from clarion_core.domain.retry import Conclusion
from clarion_core.store.batches import Advanced, BatchRef, NotClaimed, Step
from clarion_core.store.keys import PAGE, key
from support.records import (
    LANE,
    LEASE_MS,
    NOT_HANDED_OVER,
    QUEUE,
    REFUSED,
    SENT,
    VIA,
    Records,
    allowing,
    deliver,
    results,
    retry_at,
    wanted,
)


async def test_a_claim_has_an_epoch_and_the_next_one_gets_the_next(records: Records) -> None:
    await records.campaign()
    await records.trigger(2)
    worker = records.worker()
    claim = await records.claim(worker)
    assert (claim.ref.epoch, claim.crashes, len(claim.deliveries)) == (1, 0, 2)
    assert (await worker.finish(claim, [])).step is Step.HANDED_BACK
    again = await records.claim(worker)
    assert (again.ref.id, again.ref.epoch, again.crashes) == (claim.ref.id, 2, 0)


async def test_a_claim_sent_twice_is_answered_twice_and_another_one_is_not(records: Records) -> None:
    await records.campaign()
    await records.trigger(2)
    (ref,) = await records.jobs()
    request = {"lane": LANE, "batch": ref.id, "epoch": 1, "lease_ms": LEASE_MS, "retention_s": 86_400, "limits": []}
    first = await records.store.call("claim", 0, claim="w1 one", **request)
    assert first[0] == b"CLAIMED"
    again = await records.store.call("claim", 0, claim="w1 one", **request)
    assert again[:4] + again[5:] == first[:4] + first[5:]  # all but the time
    assert await records.store.call("claim", 0, claim="w1 two", **request) == [b"STALE"]
    assert await records.store.command("HGET", key(0, "batch", ref.id), "crash") is None


async def test_a_job_of_an_earlier_epoch_claims_nothing(records: Records) -> None:
    await records.campaign()
    await records.trigger()
    worker = records.worker()
    claim = await records.claim(worker)
    await worker.finish(claim, [])
    assert await worker.claim(claim.ref, lane=LANE) is NotClaimed.STALE
    assert await worker.claim(BatchRef(shard=0, via=VIA, id=claim.ref.id, epoch=7), lane=LANE) is NotClaimed.STALE


async def test_a_batch_in_hand_is_not_claimed_again(records: Records) -> None:
    await records.campaign()
    await records.trigger()
    claim = await records.claim(records.worker("w1"))
    assert await records.worker("w2").claim(claim.ref, lane=LANE) is NotClaimed.STALE


async def test_a_settled_batch_is_gone(records: Records) -> None:
    await records.campaign()
    await records.trigger()
    worker = records.worker()
    claim = await records.claim(worker)
    assert (await deliver(worker, claim)).step is Step.CLOSED
    assert await worker.claim(claim.ref, lane=LANE) is NotClaimed.GONE
    assert await records.jobs() == []


async def test_claiming_moves_the_job_to_the_leases_end(records: Records) -> None:
    await records.campaign()
    await records.trigger()
    (ref,) = await records.jobs()
    job = f"{{0}}:{VIA}:{ref.id}:1"
    queue = key(0, "queue", QUEUE)
    claim = await records.claim(ref=ref)
    assert await records.store.command("ZSCORE", queue, job) == claim.now_ms + LEASE_MS
    await records.store.command("ZADD", queue, 1, job)
    assert await records.worker().renew(0, [ref]) == set()
    assert await records.store.command("ZSCORE", queue, job) >= claim.now_ms + LEASE_MS


async def test_opening_a_window_is_written_before_anything_is_sent(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(3)
    worker = records.worker()
    claim = await records.claim(worker)
    opened = await worker.advance(claim, [], wanted(claim, 0, 2))
    assert (opened.step, opened.permits) == (Step.OPENED, (True, True))
    assert await records.states(trigger) == "GGQ"
    assert [record.attempts for record in await records.deliveries(trigger)] == [1, 1, 0]


async def test_outcomes_are_recorded_as_the_next_window_opens(records: Records) -> None:
    campaign = await records.campaign()
    trigger = await records.trigger(4)
    worker = records.worker()
    claim = await records.claim(worker)
    first, second = wanted(claim, 0, 2), wanted(claim, 2, 2)
    await worker.advance(claim, [], first)
    await worker.advance(claim, results(first[:1], SENT) + results(first[1:], REFUSED), second)
    assert await records.states(trigger) == "SFGG"
    assert (await worker.finish(claim, results(second, SENT))).step is Step.CLOSED
    counts = await records.counts(trigger)
    assert (counts.sent, counts.failed, counts.in_flight) == (3, 1, 0)
    assert await records.campaigns.counts(campaign.key) == counts
    sent, refused, *_ = await records.deliveries(trigger)
    assert (sent.detail, refused.reason, refused.detail) == ("250 ok", Reason.RECIPIENT_REFUSED, "550 nobody")


async def test_an_advance_whose_answer_was_lost_may_be_repeated(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(4)
    worker = records.worker()
    claim = await records.claim(worker)
    first, second = wanted(claim, 0, 3), wanted(claim, 3, 1)
    await worker.advance(claim, [], first)
    step = results(first[:1], SENT) + results(first[1:2], retry_at(1)) + results(first[2:], NOT_HANDED_OVER)
    answers = [await worker.advance(claim, step, second) for _ in range(3)]
    assert {(answer.step, answer.permits) for answer in answers} == {(Step.OPENED, (True,))}
    assert await records.states(trigger) == "SRQG"
    assert [record.attempts for record in await records.deliveries(trigger)] == [1, 1, 0, 1]
    assert (await records.counts(trigger)).sent == 1
    assert len([event for event in await records.events() if event.moves]) == 1
    last = results(second, SENT)
    assert (await worker.finish(claim, last)).step is Step.HANDED_BACK
    assert (await worker.finish(claim, last)).step is Step.FENCED
    assert await records.states(trigger) == "SRQS"
    assert sorted(ref.epoch for ref in await records.jobs()) == [1, 2]


async def test_what_was_not_handed_over_goes_back_without_an_attempt(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(2)
    worker = records.worker()
    claim = await records.claim(worker)
    window = wanted(claim)
    await worker.advance(claim, [], window)
    ended = await worker.finish(claim, results(window, NOT_HANDED_OVER))
    assert ended == Advanced(step=Step.HANDED_BACK)
    assert await records.states(trigger) == "QQ"
    assert {record.attempts for record in await records.deliveries(trigger)} == {0}
    assert (await records.claim(worker)).crashes == 0


async def test_a_window_takes_only_what_is_still_where_the_worker_believes_it_is(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(3)
    worker = records.worker()
    claim = await records.claim(worker)
    window = wanted(claim)
    await worker.advance(claim, [], window[:1])
    await worker.advance(claim, results(window[:1], SENT), window[1:2])
    opened = await worker.advance(claim, results(window[1:2], REFUSED), [*window[:2], replace(window[2], attempt=2)])
    assert opened.permits == (False, False, False)
    assert await records.states(trigger) == "SFQ"


async def test_an_outcome_for_another_attempt_is_not_recorded(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger()
    worker = records.worker()
    claim = await records.claim(worker)
    (want,) = wanted(claim)
    await worker.advance(claim, [], [want])
    (result,) = results([want], SENT)
    await worker.advance(claim, [replace(result, attempts=0)])
    assert await records.states(trigger) == "G"
    await worker.finish(claim, [result])
    assert await records.states(trigger) == "S"


async def test_an_unrenderable_delivery_fails_without_an_attempt(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(2)
    worker = records.worker()
    claim = await records.claim(worker)
    bad = Conclusion(state=DeliveryState.FAILED, reason=Reason.RENDER_FAILED, detail="subject: 'x' is undefined")
    (first, _) = wanted(claim)
    (result,) = results([first], bad)
    await worker.finish(claim, [replace(result, attempts=0)])
    record = (await records.deliveries(trigger))[0]
    assert (record.state, record.attempts, record.detail) == (DeliveryState.FAILED, 0, bad.detail)


async def test_retries_due_in_the_same_second_share_one_job(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(350)
    worker = records.worker()
    due_ms = (await records.get(trigger)).trigger.create_ms + 5_500
    for _ in range(4):
        await deliver(worker, await records.claim(worker), retry_at(due_ms))
    jobs = await records.jobs()
    assert len(jobs) == 4
    claims = [await records.claim(worker, ref) for ref in jobs]
    assert sorted(len(claim.deliveries) for claim in claims) == [50, PAGE, PAGE, PAGE]
    assert await records.states(trigger) == "R" * 350
    for claim in claims:
        await deliver(worker, claim)
    assert await records.states(trigger) == "S" * 350
    assert {record.attempts for record in await records.deliveries(trigger)} == {2}


async def test_a_retry_waits_until_the_whole_second_it_is_due_in(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger()
    now_ms = (await records.get(trigger)).trigger.create_ms
    worker = records.worker()
    await deliver(worker, await records.claim(worker), retry_at(now_ms + 5_500))
    due_ms = (await records.deliveries(trigger))[0].due_ms
    assert due_ms % 1000 == 0
    assert now_ms + 5_500 <= due_ms < now_ms + 6_500
    ((_, score),) = await records.store.command("ZRANGE", key(0, "queue", QUEUE), 0, -1, "WITHSCORES", withscores=True)
    assert score == due_ms


async def test_retries_of_another_second_revision_or_campaign_have_jobs_of_their_own(records: Records) -> None:
    await records.campaign()
    worker = records.worker()
    trigger = await records.trigger(2)
    due_ms = (await records.get(trigger)).trigger.create_ms + 5_000
    claim = await records.claim(worker)
    first, second = wanted(claim)
    await worker.advance(claim, [], [first, second])
    await worker.advance(claim, results([first], retry_at(due_ms)) + results([second], retry_at(due_ms + 3_000)))
    await worker.finish(claim, [])
    await records.campaign(display_name="changed")
    await records.trigger()
    await deliver(worker, await records.claim(worker), retry_at(due_ms))
    await records.campaign("other")
    await records.trigger(campaign_id="other")
    await deliver(worker, await records.claim(worker), retry_at(due_ms))
    assert len(await records.jobs()) == 4


async def test_a_retry_batch_in_hand_takes_no_more_members(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(101)
    worker = records.worker()
    due_ms = (await records.get(trigger)).trigger.create_ms + 60_000
    await deliver(worker, await records.claim(worker), retry_at(due_ms))
    retry = (await records.jobs())[-1]
    await records.claim(worker, retry)
    (page,) = [ref for ref in await records.jobs() if not ref.id.startswith("r:")]
    await deliver(worker, await records.claim(worker, page), retry_at(due_ms))
    assert len({ref.id for ref in await records.jobs()}) == 2


async def test_a_retry_that_fails_again_goes_to_a_later_batch(records: Records) -> None:
    await records.campaign(retry_policy=allowing(9))
    trigger = await records.trigger(3)
    worker = records.worker()
    for attempt in range(1, 5):
        claim = await records.claim(worker)
        assert [each.record.attempts for each in claim.deliveries] == [attempt - 1] * 3
        await deliver(worker, claim, retry_at(claim.now_ms + 2_000 * attempt))
    assert await records.states(trigger) == "RRR"
    assert len(await records.jobs()) == 1


async def test_renewing_tells_which_batches_were_lost(records: Records) -> None:
    await records.campaign()
    await records.trigger()
    await records.trigger()
    worker = records.worker()
    kept, lost = [await records.claim(worker, ref) for ref in await records.jobs()]
    await records.lapse(lost.ref.id)
    await records.sweep()
    assert await worker.renew(0, [kept.ref, lost.ref, BatchRef(shard=0, via=VIA, id="gone.0", epoch=1)]) == {
        lost.ref.id,
        "gone.0",
    }


@pytest.mark.parametrize("conclusion", [SENT, REFUSED, NOT_HANDED_OVER])
async def test_a_batch_of_many_triggers_settles_each_account(records: Records, conclusion: Conclusion) -> None:
    await records.campaign()
    items = [records.item(count) for count in (1, 2, 3)]
    await records.accept(*items)
    worker = records.worker()
    await deliver(worker, await records.claim(worker), conclusion)
    expected = conclusion.state.value
    assert [await records.states(item.trigger_id) for item in items] == [expected * n for n in (1, 2, 3)]
    if conclusion.state.is_final:
        assert {(await records.get(item.trigger_id)).trigger.state.name for item in items} == {"COMPLETED"}
