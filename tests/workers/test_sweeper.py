"""The sweep: one worker at a time repairs what got lost, and says so where the account does not add up."""

from __future__ import annotations

import pytest

from clarion_core.domain.medium import Channel
from clarion_core.domain.suppression import DAY_MS, Entry, SuppressionReason, Target, TargetKind
from clarion_core.store.keys import CONTROL, key
from clarion_core.store.suppressions import Suppressions
from clarion_core.store.upkeep import Upkeep
from clarion_workers.sweep import Sweeper
from support.lists import let_pass
from support.records import QUEUE, RETENTION_S, Records, deliver, wanted


def a_sweeper(records: Records, worker: str = "w1", every_s: float = 60.0) -> Sweeper:
    return Sweeper(
        batches=records.worker(worker),
        campaigns=records.campaigns,
        upkeep=Upkeep(records.store, worker=worker, retention_s=RETENTION_S),
        shards=1,
        every_s=every_s,
    )


async def test_one_worker_sweeps_at_a_time(records: Records) -> None:
    one, other = (
        Upkeep(records.store, worker="one", retention_s=RETENTION_S),
        Upkeep(records.store, worker="other", retention_s=RETENTION_S),
    )
    assert await one.take_turn(0, 60)
    assert not await other.take_turn(0, 60)
    assert await one.take_turn(0, 60)
    assert 0 < await records.store.command("PTTL", key(0, "sweeper")) <= 180_000
    await records.store.command("DEL", key(0, "sweeper"))  # it was not heard of for three turns
    assert await other.take_turn(0, 60)


async def test_one_turn_repairs_more_than_one_call_can(records: Records) -> None:
    await records.campaign()
    items = [records.item() for _ in range(250)]
    for item in items:
        await records.accept(item)
    refs = await records.jobs()
    await records.store.command("DEL", key(0, "queue", QUEUE))
    for ref in refs:
        await records.look_at(ref.id)
    await a_sweeper(records).once()
    assert {ref.id for ref in await records.jobs()} == {ref.id for ref in refs}


async def test_a_dead_workers_batch_is_worked_on_again(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(3)
    claim = await records.claim()
    await records.worker().advance(claim, [], wanted(claim, 0, 1))
    await records.lapse(claim.ref.id)
    await a_sweeper(records).once()
    await deliver(records.worker("w2"), await records.claim(records.worker("w2")))
    assert await records.states(trigger) == "SSS"


async def test_a_worker_whose_turn_it_is_not_leaves_the_batches_alone(records: Records) -> None:
    await records.campaign()
    await records.trigger()
    claim = await records.claim()
    await records.lapse(claim.ref.id)
    await records.store.command("SET", key(0, "sweeper"), "somebody else")
    await a_sweeper(records).once()
    assert await records.is_leased(claim.ref.id)


async def test_an_account_that_does_not_add_up_is_said_loudly(
    records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    await records.campaign()
    right, wrong = await records.trigger(2), await records.trigger(3)
    account = key(0, "trigger", wrong)
    await records.store.command("HINCRBY", account, "fly", -1)
    sweeper = a_sweeper(records)
    for _ in range(5):
        await sweeper.once()
    said = capsys.readouterr().out
    assert "accounting_broken" in said
    assert wrong in said
    assert right not in said
    await records.store.command("HINCRBY", account, "fly", 1)


async def test_an_account_that_moves_while_it_is_counted_is_not_judged(records: Records) -> None:
    await records.campaign()
    trigger = await records.trigger(2)
    upkeep = Upkeep(records.store, worker="w1", retention_s=RETENTION_S)
    counted = upkeep.counted

    async def moved_meanwhile(*arguments: object) -> object:
        found = await counted(*arguments)  # type: ignore[arg-type]
        await deliver(records.worker(), await records.claim())
        return found

    upkeep.counted = moved_meanwhile  # type: ignore[method-assign, assignment]
    assert await upkeep.recount(0, trigger) == (None, None)
    assert await upkeep.recount(0, "gone") == (None, None)


async def test_gates_are_repaired(records: Records) -> None:
    campaign = await records.campaign()
    await records.store.command("DEL", key(0, "gate", campaign.key))
    await records.store.command("SADD", key("control", "dirty"), f"{campaign.key} 1")
    await a_sweeper(records).once()
    await records.trigger()
    assert (await records.campaigns.counts(campaign.key)).accepted == 1


async def test_what_is_over_leaves_the_lists(records: Records) -> None:
    lists, (seconds, _) = Suppressions(records.store), await records.store.command("TIME")
    until_ms = 1000 * seconds + DAY_MS
    entries = [
        Entry(target=Target(TargetKind.ADDRESS, f"user-{n}@example.com"), expire_ms=until_ms, reason=reason)
        for n, reason in enumerate(SuppressionReason)
    ]
    await lists.add("default", Channel.EMAIL, entries)
    await let_pass(records.store, DAY_MS)
    await a_sweeper(records).once()
    assert await records.store.command("KEYS", key(CONTROL, "listed", "*")) == []
    assert await records.store.command("EXISTS", key(CONTROL, "lists")) == 0
