"""Ordering keys: deliveries of one key to one recipient go one after the other, and hold nobody else up."""

from __future__ import annotations

from collections import Counter

from clarion_core.domain.campaign import Action
from clarion_core.domain.ids import ordering_line
from clarion_core.store.batches import NotClaimed
from clarion_core.store.keys import key
from support.records import LANE, REFUSED, Records, deliver, retry_at

LINE = ordering_line("default", "account-1", "user-0", "email")
OTHER = ordering_line("default", "account-2", "user-0", "email")
FAR_MS = 4_000_000_000_000


async def ordered(records: Records, *lines: str, campaign_id: str = "welcome") -> str:
    """A trigger whose recipients stand in these lines."""
    return await records.trigger(len(lines), lines=list(lines), campaign_id=campaign_id)


async def claimed(records: Records) -> list[str]:
    """Deliver whatever can be claimed now, one batch after the other; the triggers in order."""
    found = []
    while jobs := await records.jobs():
        claim = await records.worker().claim(jobs[0], lane=LANE)
        if not isinstance(claim, NotClaimed):
            found += [each.trigger_id for each in claim.deliveries]
            await deliver(records.worker(), claim)
    return found


async def test_deliveries_of_one_line_are_sent_in_the_order_they_were_accepted(records: Records) -> None:
    await records.campaign()
    triggers = [await ordered(records, LINE) for _ in range(5)]
    assert len(await records.jobs()) == 1
    assert await claimed(records) == triggers
    assert await records.store.command("EXISTS", key(0, "line", LINE)) == 0


async def test_those_behind_wait_for_the_first_ones_retry_and_other_lines_do_not(records: Records) -> None:
    await records.campaign()
    first, second, other = [await ordered(records, line) for line in (LINE, LINE, OTHER)]
    await deliver(records.worker(), await records.claim(), retry_at(FAR_MS))
    (waiting, *_) = [ref for ref in await records.jobs() if not ref.id.startswith("r:")]
    await deliver(records.worker(), await records.claim(ref=waiting))
    assert (await records.states(first), await records.states(second), await records.states(other)) == ("R", "Q", "S")
    (retry,) = await records.jobs()
    await deliver(records.worker(), await records.claim(ref=retry))
    assert await claimed(records) == [second]


async def test_the_next_one_goes_however_the_first_one_ended(records: Records) -> None:
    await records.campaign()
    failed, cancelled, last = [await ordered(records, LINE) for _ in range(3)]
    await deliver(records.worker(), await records.claim(), REFUSED)
    await records.triggers.cancel(cancelled)
    assert await claimed(records) == [last]
    assert (await records.states(failed), await records.states(cancelled)) == ("F", "C")


async def test_one_that_is_cancelled_in_the_middle_leaves_the_order_of_the_others(records: Records) -> None:
    await records.campaign()
    first, second, third = [await ordered(records, LINE) for _ in range(3)]
    await records.triggers.cancel(second)
    assert len(await records.jobs()) == 1
    assert await claimed(records) == [first, third]


async def test_a_trigger_with_many_recipients_waits_in_each_line_by_itself(records: Records) -> None:
    await records.campaign()
    lines = [ordering_line("default", "k", f"user-{index}", "email") for index in range(150)]
    first = await ordered(records, *lines)
    second = await ordered(records, *lines)
    assert await records.states(second) == "Q" * 150
    sent = await claimed(records)
    assert Counter(sent) == {first: 150, second: 150}
    assert Counter(await records.states(second)) == {"S": 150}


async def test_a_large_trigger_stands_in_line_too(records: Records) -> None:
    await records.campaign()
    lines = [ordering_line("default", "k", f"user-{index}", "email") for index in range(700)]
    first = await ordered(records, *lines)
    second = await ordered(records, *lines)
    assert Counter(await claimed(records)) == {first: 700, second: 700}


async def test_a_line_runs_across_campaigns(records: Records) -> None:
    await records.campaign()
    await records.campaign("other")
    triggers = [await ordered(records, LINE), await ordered(records, LINE, campaign_id="other")]
    triggers.append(await ordered(records, LINE))
    assert await claimed(records) == triggers


async def test_a_paused_head_holds_its_own_line_up_and_no_other(records: Records) -> None:
    await records.campaign()
    first, second, other = [await ordered(records, line) for line in (LINE, LINE, OTHER)]
    await records.triggers.pause(first)
    assert await claimed(records) == [other]
    await records.triggers.resume(first)
    assert await claimed(records) == [first, second]


async def test_stopping_a_campaign_ends_all_that_stand_in_line(records: Records) -> None:
    await records.campaign()
    triggers = [await ordered(records, LINE) for _ in range(4)]
    await records.act(Action.STOP)
    assert await claimed(records) == []
    assert [await records.states(trigger) for trigger in triggers] == ["C"] * 4


async def test_a_repeated_accept_does_not_stand_in_line_twice(records: Records) -> None:
    await records.campaign()
    item = records.item(1, lines=[LINE])
    await records.accept(item)
    await records.accept(item)
    assert await records.store.command("LLEN", key(0, "line", LINE)) == 1
    assert await claimed(records) == [item.trigger_id]


async def test_nothing_is_kept_of_a_line_that_is_over(records: Records) -> None:
    await records.campaign()
    for _ in range(3):
        await ordered(records, LINE)
    await claimed(records)
    kept = await records.keys()
    assert not [name for name in kept if name.startswith(("{0}:o:", "{0}:a:"))]
    assert {ttl for name, ttl in kept.items() if name.startswith("{0}:tn:")} == {86_400}
