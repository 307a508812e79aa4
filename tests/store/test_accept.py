"""Accepting: records and jobs in one step, verdicts one by one, and everything safe to repeat."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion_core.domain.campaign import Action
from clarion_core.domain.trigger import Counts, Placement, Slice, TriggerState
from clarion_core.store.accepting import SEGMENT, AcceptItem, Verdict, segments_of
from clarion_core.store.keys import LIMITS, PAGE, key
from clarion_core.store.records import decode_rows, encode, encode_recipient
from support.records import NEWS, Records, a_recipient, deliver, retry_at

CREATED, REPLAYED, REUSED, GATE = Verdict.CREATED, Verdict.REPLAYED, Verdict.REUSED, Verdict.GATE


async def verdicts(records: Records, *items: AcceptItem) -> list[Verdict]:
    return [accepted.verdict for accepted in await records.accept(*items)]


def base_of(item: AcceptItem) -> str:
    assert item.placement
    return item.placement.base


async def test_record_and_job_come_to_be_in_one_step(records: Records) -> None:
    campaign = await records.campaign()
    item = records.item(3)
    (accepted,) = await records.accept(item)
    stored = await records.get(item.trigger_id)
    assert accepted.verdict is CREATED
    assert stored.trigger.create_ms == accepted.at_ms
    assert stored.trigger.counts == Counts(accepted=3, in_flight=3)
    assert await records.campaigns.counts(campaign.key) == stored.trigger.counts
    assert await records.states(item.trigger_id) == "QQQ"
    (ref,) = await records.jobs()
    claim = await records.claim(ref=ref)
    assert [encode(each.recipient) for each in claim.deliveries] == item.parts[0].rows
    assert {each.trigger_id for each in claim.deliveries} == {item.trigger_id} == claim.heads.keys()
    assert await records.store.command("LLEN", key(0, "wake", NEWS)) == 1


async def test_a_repeated_request_is_answered_as_before_and_counts_once(records: Records) -> None:
    await records.campaign()
    first = await records.accept(records.item(2, request="r"))
    second = await records.accept(records.item(2, request="r"))
    assert [accepted.verdict for accepted in first + second] == [CREATED, REPLAYED]
    assert first[0].at_ms == second[0].at_ms
    assert len(await records.jobs()) == 1


async def test_a_request_id_with_another_body_is_refused(records: Records) -> None:
    await records.campaign()
    await records.accept(records.item(request="r"))
    assert await verdicts(records, records.item(2, request="r")) == [REUSED]


async def test_the_very_same_call_sent_twice_is_answered_twice_the_same(records: Records) -> None:
    campaign = await records.campaign()
    items = [records.item(2), records.item(150), records.item(1)]
    first = await records.accepting.accept(0, items)
    jobs = await records.jobs()
    assert await records.accepting.accept(0, items) == first
    assert [accepted.verdict for accepted in first] == [CREATED] * 3
    assert await records.jobs() == jobs
    assert (await records.campaigns.counts(campaign.key)).accepted == 153


async def test_a_call_sent_again_after_its_work_was_done_does_not_do_it_again(records: Records) -> None:
    await records.campaign()
    item = records.item()
    await records.accepting.accept(0, [item])
    worker = records.worker()
    await deliver(worker, await records.claim(worker))
    assert (await records.accepting.accept(0, [item]))[0].verdict is CREATED
    assert await records.jobs() == []
    assert await records.states(item.trigger_id) == "S"


async def test_two_of_one_group_with_the_same_request_id_are_one_trigger(records: Records) -> None:
    campaign = await records.campaign()
    same, other = records.item(1, request="r"), records.item(2, request="r")
    answers = await records.accept(records.item(1, request="r"), same, other)
    assert [accepted.verdict for accepted in answers] == [CREATED, REPLAYED, REUSED]
    assert answers[0].at_ms == answers[1].at_ms
    assert (await records.campaigns.counts(campaign.key)).accepted == 1


async def test_a_bad_item_fails_alone(records: Records) -> None:
    await records.campaign()
    await records.campaign("paused")
    await records.act(Action.PAUSE, "paused")
    good, bad, old = records.item(2), records.item(campaign_id="paused"), records.item(revision=99)
    unstaged = records.item(3, placement=Placement((Slice(base="00gone", start=0, count=3),)))
    unstaged.parts[0].rows = []
    assert await verdicts(records, bad, good, old, unstaged) == [GATE, CREATED, GATE, Verdict.UNSTAGED]
    assert await records.triggers.get(bad.trigger_id) is None
    assert await records.states(good.trigger_id) == "QQ"
    assert len(await records.jobs()) == 1


@pytest.mark.parametrize("action", [Action.PAUSE, Action.STOP])
async def test_what_was_accepted_is_replayed_whatever_the_campaign_looks_like_by_now(
    records: Records, action: Action
) -> None:
    await records.campaign()
    await records.accept(records.item(request="r"))
    await records.act(action)
    assert await verdicts(records, records.item(request="r"), records.item()) == [REPLAYED, GATE]


async def test_a_trigger_of_an_earlier_revision_is_not_accepted(records: Records) -> None:
    await records.campaign()
    item = records.item()
    await records.campaign(display_name="changed")
    assert await verdicts(records, item, records.item()) == [GATE, CREATED]


async def test_small_triggers_of_a_group_share_pages_and_jobs(records: Records) -> None:
    await records.campaign()
    items = [records.item(1) for _ in range(250)]
    assert await verdicts(records, *items) == [CREATED] * 250
    claims = [await records.claim(ref=ref) for ref in await records.jobs()]
    assert sorted(len(claim.deliveries) for claim in claims) == [50, 100, 100]
    carried = {each.trigger_id: each.recipient.user_id for claim in claims for each in claim.deliveries}
    assert carried == {item.trigger_id: "user-0" for item in items}


async def test_a_trigger_that_fails_leaves_its_place_on_a_shared_page_empty(records: Records) -> None:
    await records.campaign()
    await records.accept(records.item(1, request="r"))
    (before,) = await records.jobs()
    first, again, last = records.item(3), records.item(1, request="r"), records.item(2)
    assert await verdicts(records, first, again, last) == [CREATED, REPLAYED, CREATED]
    (ref,) = set(await records.jobs()) - {before}
    claim = await records.claim(ref=ref)
    assert [each.trigger_id for each in claim.deliveries] == [first.trigger_id] * 3 + [last.trigger_id] * 2
    assert [int(each.id.rpartition("-")[2]) for each in claim.deliveries] == [0, 1, 2, 4, 5]


async def test_campaigns_and_revisions_do_not_share_pages(records: Records) -> None:
    await records.campaign()
    await records.campaign("other")
    items = [records.item(), records.item(campaign_id="other"), records.item()]
    await records.accept(*items)
    assert base_of(items[0]) == base_of(items[2]) != base_of(items[1])
    assert len(await records.jobs()) == 2


@pytest.mark.parametrize("count", [501, 1000])
async def test_a_large_trigger_goes_ahead_in_pages_and_becomes_true_in_one_step(records: Records, count: int) -> None:
    campaign = await records.campaign()
    item = records.item(count)
    assert item.is_large
    await records.accepting.stage(0, item)
    staged = {name: ttl for name, ttl in (await records.keys()).items() if ":p:" in name}
    pages = -(-count // PAGE)
    assert len(staged) == pages
    assert all(0 < ttl <= LIMITS["STAGED_TTL_MS"] / 1000 for ttl in staged.values())
    assert await records.jobs() == []
    assert (await records.accepting.accept(0, [item]))[0].verdict is CREATED
    assert {ttl for name, ttl in (await records.keys()).items() if ":p:" in name} == {-1}
    assert len(await records.jobs()) == pages
    assert await records.states(item.trigger_id) == "Q" * count
    assert (await records.campaigns.counts(campaign.key)).in_flight == count
    assert (await records.accepting.accept(0, [item]))[0].verdict is CREATED
    assert len(await records.jobs()) == pages


async def test_a_large_trigger_whose_pages_are_gone_is_refused_as_a_whole(records: Records) -> None:
    await records.campaign()
    item = records.item(501)
    await records.accepting.stage(0, item)
    await records.store.command("DEL", key(0, "payload", f"{base_of(item)}.5"))
    assert (await records.accepting.accept(0, [item]))[0].verdict is Verdict.UNSTAGED
    assert await records.triggers.get(item.trigger_id) is None


async def test_the_loser_of_a_race_of_large_triggers_leaves_pages_that_vanish(records: Records) -> None:
    await records.campaign()
    winner, loser = records.item(501, request="r"), records.item(501, request="r")
    assert await verdicts(records, winner, loser) == [CREATED, REPLAYED]
    ttls = await records.keys()
    assert {ttls[f"{{0}}:p:{base_of(winner)}.{page}"] for page in range(6)} == {-1}
    assert all(ttls[f"{{0}}:p:{base_of(loser)}.{page}"] > 0 for page in range(6))


async def test_deliveries_are_read_in_slices_that_cross_pages(records: Records) -> None:
    await records.campaign()
    await records.accept(records.item(95), item := records.item(120))
    place = (await records.get(item.trigger_id)).placement
    assert (place.slices[0].start, place.count) == (95, 120)
    for skip, limit, expected in [(0, 500, 120), (3, 7, 7), (100, 50, 20), (119, 5, 1), (120, 5, 0)]:
        found = await records.triggers.deliveries(item.trigger_id, place, skip, limit)
        assert [each.recipient.user_id for each in found] == [f"user-{skip + n}" for n in range(expected)]
        assert {each.trigger_id for each in found} <= {item.trigger_id}


@given(st.integers(0, 400), st.integers(0, 350))
def test_segments_cover_every_recipient_once_and_stay_on_their_page(start: int, count: int) -> None:
    rows = [encode_recipient(replace(a_recipient(0), user_id=str(index))) for index in range(count)]
    covered = []
    for page, offset, size, blob in segments_of(rows, start):
        assert 1 <= size <= SEGMENT
        assert offset + size <= PAGE
        found = decode_rows(blob)
        assert len(found) == size
        covered += [(page * PAGE + offset + n, row.user_id) for n, row in enumerate(found)]
    assert covered == [(start + index, str(index)) for index in range(count)]


async def test_a_retry_is_found_by_the_trigger_it_belongs_to(records: Records) -> None:
    await records.campaign()
    one, other = records.item(1), records.item(1)
    await records.accept(one, other)
    worker = records.worker()
    await deliver(worker, await records.claim(worker), retry_at(1))
    claim = await records.claim()
    assert [each.trigger_id for each in claim.deliveries] == [one.trigger_id, other.trigger_id]
    assert (await records.get(one.trigger_id)).trigger.state is TriggerState.RUNNING
