"""What a worker gets done, and what it exposes of itself."""

from __future__ import annotations

from clarion_core.domain.delivery import DeliveryState
from clarion_core.store.batches import Step
from clarion_core.store.keys import key
from clarion_core.store.store import Store
from clarion_workers.tally import CountedBatches, Tally
from support.clarion import Clarion, a_recipient, an_email
from support.records import (
    LEASE_MS,
    NOT_HANDED_OVER,
    REFUSED,
    RETENTION_S,
    SENT,
    Records,
    deliver,
    results,
    until,
    wanted,
)
from support.scrape import scrape
from support.smtp_sink import SmtpSink


def counted(records: Records, tally: Tally) -> CountedBatches:
    return CountedBatches(records.store, tally=tally, worker="w1", lease_ms=LEASE_MS, retention_s=RETENTION_S)


async def test_outcomes_are_counted_once_they_are_recorded(records: Records) -> None:
    await records.campaign()
    await records.trigger(5)
    tally = Tally()
    worker = counted(records, tally)
    claim = await records.claim(worker)
    window = wanted(claim)
    await worker.advance(claim, [], window)
    assert tally.outcomes.total() == 0
    await worker.advance(claim, [*results(window[:2], SENT), *results(window[2:3], REFUSED)])
    await worker.finish(claim, results(window[3:], NOT_HANDED_OVER))
    assert tally.outcomes == {DeliveryState.SENT: 2, DeliveryState.FAILED: 1}
    await deliver(worker, await records.claim(worker))
    assert tally.outcomes == {DeliveryState.SENT: 4, DeliveryState.FAILED: 1}


async def test_what_a_fenced_worker_says_is_not_counted(records: Records) -> None:
    await records.campaign()
    await records.trigger()
    tally = Tally()
    worker = counted(records, tally)
    claim = await records.claim(worker)
    window = wanted(claim)
    await worker.advance(claim, [], window)
    await records.lapse(claim.ref.id)
    await records.sweep()
    assert (await worker.finish(claim, results(window, SENT))).step is Step.FENCED
    assert tally.outcomes.total() == 0


def test_a_rate_is_that_of_the_last_ten_seconds() -> None:
    now = 0.0
    tally = Tally(clock=lambda: now)
    assert tally.rate_per_s() == 0
    rates = []
    for second in range(1, 31):
        now = float(second)
        if second <= 10:
            tally.outcomes[DeliveryState.SENT] += 50
        rates.append(tally.rate_per_s())
    assert rates[:10] == [50.0] * 10
    assert rates[14] == 25.0
    assert rates[19:] == [0.0] * 11


async def test_a_worker_tells_what_it_did_and_what_it_has_in_hand(clarion: Clarion) -> None:
    await clarion.live_campaign()
    async with SmtpSink() as sink:
        room = await clarion.work(sink.port, metrics="127.0.0.1:0", drain_s=0)
        sent = await clarion.trigger(
            recipients=[a_recipient(0), a_recipient(1), a_recipient(2, addresses={"email": "rcpt-550@example.com"})]
        )
        await clarion.finished(sent.name)
        found = await scrape(room.exposition.address)
        outcomes = {"sent": 2, "failed": 1, "retrying": 0, "ambiguous": 0}
        assert found.by("clarion_worker_deliveries_total", "outcome") == outcomes
        assert found.value("clarion_worker_batches_in_hand") == 0
        assert found.by("clarion_worker_window_deliveries", "lane") == {"urgent": 0, "transactional": 0, "marketing": 0}
        assert found.value("clarion_worker_info", worker=room.name, version="0.1.0") == 1
        await clarion.trigger(recipients=[a_recipient(0, addresses={"email": "dot-hang@example.com"})])

        async def in_hand() -> bool:
            return (await scrape(room.exposition.address)).value("clarion_worker_batches_in_hand") == 1

        await until(in_hand)
        found = await scrape(room.exposition.address)
        assert found.by("clarion_worker_window_deliveries", "lane") == {"urgent": 0, "transactional": 1, "marketing": 0}


async def test_copies_are_counted_by_how_they_ended(clarion: Clarion) -> None:
    await clarion.live_campaign(contents=[an_email(bcc=["archive@example.com", "rcpt-550@example.com"])])
    async with SmtpSink() as sink:
        room = await clarion.work(sink.port, metrics="127.0.0.1:0")
        await clarion.trigger(recipients=[a_recipient(0)])

        async def counted() -> bool:
            found = (await scrape(room.exposition.address)).by("clarion_worker_copies_total", "outcome")
            return found == {"sent": 1, "failed": 1, "ambiguous": 0, "suppressed": 0}

        await until(counted)


async def test_a_worker_exposes_nothing_unless_told_to(clarion: Clarion) -> None:
    async with SmtpSink() as sink:
        assert (await clarion.work(sink.port)).exposition.address == ""


async def test_differences_found_by_the_recount_are_told(records: Records, clarion: Clarion, store: Store) -> None:
    await clarion.live_campaign()
    trigger = (await clarion.trigger(3)).name.rpartition("/")[2]
    await clarion.trigger(2)
    await store.command("HINCRBY", key(0, "trigger", trigger), "fly", -1)
    async with SmtpSink() as sink:
        await store.command("SADD", key("control", "paused"), "transactional")
        room = await clarion.work(sink.port, sweep_s=0.1, metrics="127.0.0.1:0")

        async def found_out() -> bool:
            found = await scrape(room.exposition.address)
            return (found.value("clarion_recount_differences_total") or 0) > 0

        await until(found_out)
        found = await scrape(room.exposition.address)
        recounted = found.value("clarion_recount_triggers_total") or 0
        assert recounted > (found.value("clarion_recount_differences_total") or 0)
    right, wrong = await records.upkeep.recounts()
    assert wrong > 0
    assert right > 0
    await store.command("HINCRBY", key(0, "trigger", trigger), "fly", 1)
