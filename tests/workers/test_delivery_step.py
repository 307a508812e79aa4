"""The delivery step: windows one after the other, and what becomes of a batch when it is cut off anywhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from clarion_core.domain.campaign import Action, AmbiguityPolicy, Definition
from clarion_core.domain.content import EmailContent
from clarion_core.domain.delivery import Reason
from clarion_core.domain.errors import StoreUnavailable
from clarion_core.domain.recipient import Recipient
from clarion_core.store.batches import Advanced, BatchStore, Claim, Result, Wanted
from clarion_core.store.campaigns import CampaignStore
from clarion_core.store.connection import connect
from clarion_core.store.keys import key
from clarion_core.store.records import encode_recipient
from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from support.invariants import check
from support.post import EMAIL, Post, email_campaign
from support.records import LEASE_MS, RETENTION_S, Records
from support.smtp_sink import SmtpSink

APost = Callable[..., Post]
AT_MOST = AmbiguityPolicy.AT_MOST_ONCE


async def a_trigger(records: Records, count: int = 100) -> str:
    return await records.trigger(count)


async def work_off(records: Records, post: Post) -> None:
    while jobs := await records.jobs():
        await post.run(jobs[0])


def arrived(sink: SmtpSink) -> Counter[str]:
    """How often each message arrived."""
    return Counter(message.message_id.partition("@")[0] for message in sink.messages)


async def test_a_batch_goes_out_window_by_window(records: Records, sink: SmtpSink, a_post: APost) -> None:
    await email_campaign(records)
    trigger = await a_trigger(records)
    post = a_post(window=60)
    await work_off(records, post)
    assert post.gate.windows == [30, 30, 30, 10]
    assert await records.states(trigger) == "S" * 100
    assert set(arrived(sink).values()) == {1}


async def test_no_more_is_handed_over_than_the_window_holds(records: Records, sink: SmtpSink, a_post: APost) -> None:
    await email_campaign(records)
    trigger = await records.trigger(300)
    post = a_post(window=20)
    post.gate.shut()
    jobs = [post.start(ref) for ref in await records.jobs()]
    while len(post.gate.windows) < 2:
        await post.gate.asked.wait()
        await asyncio.sleep(0)
    assert (await records.states(trigger)).count("G") <= 20
    post.gate.open.set()
    await asyncio.gather(*jobs)
    assert (await records.counts(trigger)).sent == 300


async def test_what_cannot_be_rendered_leaves_the_others_alone(records: Records, sink: SmtpSink, a_post: APost) -> None:
    await email_campaign(
        records, email=EmailContent(sender=EMAIL.sender, subject="{{ 10 // profile.share }}", text="Hello")
    )
    shares = [5, 0, 2]
    rows = [
        encode_recipient(Recipient(user_id=f"u{n}", addresses={"email": f"u{n}@example.com"}, profile={"share": share}))
        for n, share in enumerate(shares)
    ]
    trigger = await records.trigger(3, rows=rows)
    await work_off(records, a_post())
    bad = (await records.deliveries(trigger))[1]
    assert await records.states(trigger) == "SFS"
    assert (bad.reason, bad.attempts) == (Reason.RENDER_FAILED, 0)
    assert "subject" in bad.detail
    assert len(sink.messages) == 2


async def test_a_batch_whose_revision_is_gone_fails_and_says_so(records: Records, a_post: APost) -> None:
    campaign = await email_campaign(records)
    trigger = await a_trigger(records, 3)
    await records.store.command("DEL", key("control", "revision", f"{campaign.key}:1"))
    await work_off(records, a_post())
    assert {record.reason for record in await records.deliveries(trigger)} == {Reason.INTERNAL}
    assert await records.states(trigger) == "FFF"


async def test_draining_finishes_the_window_and_hands_the_rest_back(
    records: Records, sink: SmtpSink, a_post: APost
) -> None:
    await email_campaign(records)
    trigger = await a_trigger(records)
    post = a_post(window=20)
    post.gate.shut()
    job = post.start((await records.jobs())[0])
    await post.gate.asked.wait()
    post.draining.set()
    post.gate.open.set()
    await job
    assert Counter(await records.states(trigger)) == {"S": 10, "Q": 90}
    (ref,) = await records.jobs()
    assert ref.epoch == 2
    await work_off(records, a_post())
    assert set(arrived(sink).values()) == {1}
    assert (await records.counts(trigger)).sent == 100


@pytest.mark.parametrize(("policy", "sure"), [(AmbiguityPolicy.AT_LEAST_ONCE, 100), (AT_MOST, 90)])
async def test_a_window_cut_off_in_the_middle_is_ambiguous_and_the_rest_is_not(
    records: Records, sink: SmtpSink, a_post: APost, policy: AmbiguityPolicy, sure: int
) -> None:
    await email_campaign(records, ambiguity_policy=policy)
    trigger = await a_trigger(records)
    post = a_post(window=20)
    post.gate.shut()
    job = post.start((await records.jobs())[0])
    await post.gate.asked.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert "G" not in await records.states(trigger)
    assert sum(record.ambiguous_attempts for record in await records.deliveries(trigger)) == 10
    await work_off(records, a_post())
    counts = await records.counts(trigger)
    assert (counts.sent, counts.ambiguous) == (sure, 100 - sure)
    assert len(sink.messages) == sure


class CutOff(BatchStore):
    """Its worker is cut off at the nth call that records, before it is made or before its answer is heard."""

    def __init__(self, store: Store, nth: int, *, heard: bool) -> None:
        super().__init__(store, worker="post", lease_ms=LEASE_MS, retention_s=RETENTION_S)
        self._left, self._heard = nth, heard

    async def advance(self, *what: Any, **how: Any) -> Advanced:
        return await self._cut(lambda: super(CutOff, self).advance(*what, **how))

    async def finish(self, *what: Any, **how: Any) -> Advanced:
        return await self._cut(lambda: super(CutOff, self).finish(*what, **how))

    async def _cut(self, call: Callable[[], Awaitable[Advanced]]) -> Advanced:
        self._left -= 1
        if not self._left:
            if not self._heard:
                await call()
            task = asyncio.current_task()
            assert task
            task.cancel()
            await asyncio.sleep(0)
        return await call()


@pytest.mark.parametrize("nth", range(1, 8))
@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize("policy", AmbiguityPolicy)
async def test_cut_off_between_windows_all_is_recorded_and_the_rest_handed_back(
    records: Records, sink: SmtpSink, a_post: APost, nth: int, heard: bool, policy: AmbiguityPolicy
) -> None:
    await email_campaign(records, ambiguity_policy=policy)
    trigger = await a_trigger(records, 60)
    (ref,) = await records.jobs()
    job = a_post(window=20, batches=CutOff(records.store, nth, heard=heard)).start(ref)
    await asyncio.gather(job, return_exceptions=True)
    assert job.cancelled()
    assert not await records.is_leased(ref.id)
    assert Counter(await records.states(trigger)) == Counter("S" * 10 * (nth - 1) + "Q" * (70 - 10 * nth))
    await work_off(records, a_post())
    assert (await records.counts(trigger)).sent == 60
    assert set(arrived(sink).values()) == {1}
    assert {(record.attempts, record.ambiguous_attempts) for record in await records.deliveries(trigger)} == {(1, 0)}


async def test_a_store_that_cannot_be_asked_for_the_campaign_costs_the_batch_nothing(
    records: Records, a_post: APost
) -> None:
    class Away(CampaignStore):
        asked = 0

        async def definition(self, key: str, revision: int) -> Definition | None:
            self.asked += 1
            if self.asked == 1:
                raise StoreUnavailable
            return await super().definition(key, revision)

    await email_campaign(records)
    trigger = await a_trigger(records, 3)
    records.campaigns = Away(records.store, 1, RETENTION_S)
    post = a_post()
    await post.run((await records.jobs())[0])
    (ref,) = await records.jobs()
    assert ref.epoch == 2
    assert await records.store.command("HGET", key(0, "batch", ref.id), "crash") is None
    await post.run(ref)
    assert await records.states(trigger) == "SSS"


@pytest.mark.parametrize("turns", [1, 3, 10, 30, 100, 300, 1000, 3000])
async def test_cut_off_at_any_moment_nothing_is_lost_and_nothing_is_sent_twice_in_silence(
    records: Records, sink: SmtpSink, a_post: APost, turns: int
) -> None:
    await email_campaign(records)
    trigger = await a_trigger(records, 60)
    (ref,) = await records.jobs()
    job = a_post(window=20).start(ref)
    for _ in range(turns):
        await asyncio.sleep(0)
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    states = await records.states(trigger)
    if await records.is_leased(ref.id):  # cut off before it knew that the batch is its own
        assert states == "Q" * 60
        await records.lapse(ref.id)
        await records.sweep()
    assert "G" not in states
    await check(records)
    await work_off(records, a_post())
    found = await records.deliveries(trigger)
    assert {record.state.value for record in found} == {"S"}
    [place] = (await records.get(trigger)).placement.slices
    for number, record in enumerate(found):
        times = arrived(sink)[f"{place.base}-{place.start + number}"]
        assert 1 <= times <= 1 + record.ambiguous_attempts


async def test_a_worker_that_lost_its_batch_sends_nothing_more(records: Records, sink: SmtpSink, a_post: APost) -> None:
    await email_campaign(records)
    trigger = await a_trigger(records)
    late, other = a_post(window=20), a_post(window=20)
    (ref,) = await records.jobs()
    late.gate.shut()
    job = late.start(ref)
    await late.gate.asked.wait()
    await records.lapse(ref.id)
    assert await records.sweep() == [(ref.id, "RECOVERED")]
    late.gate.open.set()
    await job
    assert late.gate.windows == [10]
    assert Counter(await records.states(trigger)) == {"S": 10, "Q": 90}  # its outcome was still believed
    await work_off(records, other)
    assert set(arrived(sink).values()) == {1}


async def test_a_worker_that_stood_still_for_a_lease_sends_nothing_more(
    records: Records, sink: SmtpSink, a_post: APost
) -> None:
    await email_campaign(records)
    trigger = await a_trigger(records)
    post = a_post(window=20, lease_s=0.001)  # over before the first window could be handed over
    (ref,) = await records.jobs()
    await post.run(ref)
    assert sink.messages == []
    assert post.gate.windows == []
    states = await records.deliveries(trigger)
    assert {(record.state.value, record.attempts) for record in states} == {("Q", 0)}


@pytest.mark.parametrize("call_off", [Action.PAUSE, Action.STOP, None])
async def test_a_batch_called_off_between_windows_sends_no_further_one(
    records: Records, sink: SmtpSink, a_post: APost, call_off: Action | None
) -> None:
    await email_campaign(records)
    trigger = await a_trigger(records)
    post = a_post(window=20)
    post.gate.shut()
    job = post.start((await records.jobs())[0])
    await post.gate.asked.wait()
    if call_off:
        await records.act(call_off)
    else:
        await records.triggers.cancel(trigger)
    post.gate.open.set()
    await job
    assert len(sink.messages) == 10
    rest = "Q" if call_off is Action.PAUSE else "C"
    assert Counter(await records.states(trigger)) == {"S": 10, rest: 90}
    if call_off is Action.PAUSE:
        assert await records.jobs() == []
        await records.act(Action.RESUME)
        await work_off(records, post)
        assert set(arrived(sink).values()) == {1}
        assert (await records.counts(trigger)).sent == 100


async def test_a_batch_that_killed_two_workers_is_sent_one_by_one(
    records: Records, sink: SmtpSink, a_post: APost
) -> None:
    await email_campaign(records)
    trigger = await a_trigger(records, 5)
    for _ in range(2):
        claim = await records.claim()
        await records.lapse(claim.ref.id)
        await records.sweep()
    post = a_post()
    await work_off(records, post)
    assert post.gate.windows == [1] * 5
    assert await records.states(trigger) == "S" * 5


async def test_a_message_that_breaks_the_worker_is_found_and_the_others_are_sent(
    records: Records, sink: SmtpSink, a_post: APost
) -> None:
    await email_campaign(records)
    rows = [encode_recipient(Recipient(user_id=f"u{n}", addresses={"email": f"u{n}@example.com"})) for n in range(3)]
    rows[1] = encode_recipient(Recipient(user_id="u1", addresses={}))  # no server of ours accepts such a recipient
    trigger = await records.trigger(3, rows=rows)
    post = a_post()
    for _ in range(4):
        for ref in await records.jobs():
            await post.run(ref)
            if await records.is_leased(ref.id):  # it broke
                await records.lapse(ref.id)
        await records.sweep()
    assert await records.states(trigger) == "SFS"
    assert (await records.deliveries(trigger))[1].reason is Reason.POISON
    assert set(arrived(sink).values()) == {1}


async def test_a_job_of_nothing_does_nothing(records: Records, sink: SmtpSink, a_post: APost) -> None:
    await email_campaign(records)
    await a_trigger(records, 1)
    (ref,) = await records.jobs()
    post = a_post()
    await work_off(records, post)
    await post.run(ref)
    assert len(sink.messages) == 1


async def test_a_paused_campaign_whose_window_had_opened_unheard_leaves_none_open(
    records: Records, sink: SmtpSink, a_post: APost
) -> None:
    """The answer to the opening got lost, and the campaign was paused before it was asked again."""
    await email_campaign(records)
    trigger = await a_trigger(records, 5)

    class Unheard(BatchStore):
        async def advance(
            self, claim: Claim, results: Sequence[Result], window: Sequence[Wanted] = (), **how: Any
        ) -> Advanced:
            if window:
                await super().advance(claim, results, window, **how)
                await records.act(Action.PAUSE)
            return await super().advance(claim, results, window, **how)

    post = a_post(batches=Unheard(records.store, worker="post", lease_ms=LEASE_MS, retention_s=RETENTION_S))
    await post.run((await records.jobs())[0])
    assert await records.states(trigger) == "QQQQQ"
    assert {record.attempts for record in await records.deliveries(trigger)} == {0}
    assert sink.messages == []


async def test_a_store_that_goes_away_in_the_middle_is_waited_for_and_nothing_is_sent_twice(
    tmp_path: Path, sink: SmtpSink
) -> None:
    with RedisServer(tmp_path) as server:
        store = Store(connect(server.url))
        await store.load()
        records = Records(store)
        await email_campaign(records)
        trigger = await a_trigger(records)
        post = Post(records, sink.port)
        post.gate.shut()
        job = post.start((await records.jobs())[0])
        await post.gate.asked.wait()
        server.kill()
        post.gate.open.set()
        await sink.wait_for(10)
        server.start()
        await job
        assert await records.states(trigger) == "S" * 100
        assert set(arrived(sink).values()) == {1}
        await check(records)
        await post.close()
        await store.close()
