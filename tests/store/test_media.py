"""One trigger, several media: each has pages, batches and a queue of its own, and all of them one account."""

from __future__ import annotations

from clarion_core.domain.ids import medium_of
from clarion_core.domain.medium import Medium
from clarion_core.domain.recipient import Device, Recipient
from clarion_core.domain.trigger import Counts, TriggerState
from clarion_core.store.accepting import AcceptItem, AcceptPart
from clarion_core.store.batches import Claim, NotClaimed
from clarion_core.store.dead_letters import DeadLetterStore
from clarion_core.store.records import encode_recipient
from support.records import LANE, REFUSED, RETENTION_S, SENT, Records, deliver, results, retry_at, wanted

PHONE = Device(platform=Medium.FCM, token="token-1")
ANA = Recipient(user_id="ana", addresses={"email": "ana@example.com", "sms": "+4915112345678"}, devices=(PHONE,))
MEDIA = (Medium.EMAIL, Medium.SMS, Medium.FCM)


def on_all(records: Records, count: int = 2, **changes: object) -> AcceptItem:
    """A trigger that owes each recipient three messages."""
    parts = [
        AcceptPart(
            medium=medium,
            configuration=f"the-{medium.channel}",
            rows=[encode_recipient(ANA, PHONE if medium is Medium.FCM else None)] * count,
            lines=[f"{medium}-{index}" for index in range(count)] if changes.get("ordered") else [],
        )
        for medium in MEDIA
    ]
    return records.item(parts=parts)


async def claim(records: Records, medium: Medium) -> Claim:
    [ref, *_] = await records.jobs(medium=medium)
    found = await records.worker().claim(ref, lane=LANE)
    assert isinstance(found, Claim)
    return found


async def test_each_medium_has_batches_in_a_queue_of_its_own(records: Records) -> None:
    await records.campaign()
    await records.accept(on_all(records))
    for medium in MEDIA:
        [ref] = await records.jobs(medium=medium)
        assert (ref.medium, ref.configuration) == (medium, f"the-{medium.channel}")
        found = await claim(records, medium)
        assert {medium_of(each.id) for each in found.deliveries} == {medium}
        assert await deliver(records.worker(), found)


async def test_a_push_delivery_is_for_one_device(records: Records) -> None:
    await records.campaign()
    await records.accept(on_all(records, 1))
    [delivery] = (await claim(records, Medium.FCM)).deliveries
    assert delivery.recipient.addresses["push"] == "token-1"
    [mail] = (await claim(records, Medium.EMAIL)).deliveries
    assert "push" not in mail.recipient.addresses


async def test_the_account_is_over_all_media_and_the_trigger_ends_with_the_last(records: Records) -> None:
    await records.campaign()
    item = on_all(records)
    await records.accept(item)
    for ended, medium in enumerate(MEDIA):
        assert await records.counts(item.trigger_id) == Counts(accepted=6, in_flight=6 - 2 * ended, sent=2 * ended)
        await deliver(records.worker(), await claim(records, medium))
    assert (await records.get(item.trigger_id)).trigger.state is TriggerState.COMPLETED


async def test_triggers_of_one_flight_share_pages_by_medium(records: Records) -> None:
    await records.campaign()
    one, two = on_all(records, 1), on_all(records, 1)
    await records.accept(one, two)
    for medium in MEDIA:
        found = await claim(records, medium)
        assert [each.trigger_id for each in found.deliveries] == [one.trigger_id, two.trigger_id]


async def test_deliveries_are_listed_by_medium_and_found_by_their_id(records: Records) -> None:
    await records.campaign()
    await records.accept(on_all(records, 1), item := on_all(records, 3))
    place = (await records.get(item.trigger_id)).placement
    found = await records.triggers.deliveries(item.trigger_id, place, 0, 500)
    assert [medium_of(each.id) for each in found] == [medium for medium in MEDIA for _ in range(3)]
    assert [place.position(each.id) for each in found] == list(range(9))
    assert place.position(f"{place.base}-0") is None, "the other trigger's"
    for skip in range(10):
        some = await records.triggers.deliveries(item.trigger_id, place, skip, 4)
        assert [each.id for each in some] == [each.id for each in found[skip : skip + 4]]


async def test_a_large_trigger_is_staged_medium_by_medium(records: Records) -> None:
    await records.campaign()
    item = on_all(records, 350)
    assert item.is_large
    await records.accept(item)
    assert (await records.counts(item.trigger_id)).accepted == 1050
    assert [len(await records.jobs(medium=medium)) for medium in MEDIA] == [4, 4, 4]


async def test_what_is_called_off_is_so_on_every_medium(records: Records) -> None:
    await records.campaign()
    item = on_all(records, 150)
    await records.accept(item)
    await records.triggers.cancel(item.trigger_id)
    assert await records.counts(item.trigger_id) == Counts(accepted=450, cancelled=450)
    told = [move.delivery for event in await records.events() for move in event.moves]
    assert len(told) == len(set(told)) == 450
    for medium in MEDIA:
        [ref, *_] = await records.jobs(medium=medium)
        assert isinstance(await records.worker().claim(ref, lane=LANE), NotClaimed)


async def test_retries_stay_with_their_medium(records: Records) -> None:
    await records.campaign()
    item = on_all(records, 1)
    await records.accept(item)
    due_ms = (await records.get(item.trigger_id)).trigger.create_ms + 3_600_000
    for medium in MEDIA:
        await deliver(records.worker(), await claim(records, medium), retry_at(due_ms))
    for medium in MEDIA:
        [ref] = await records.jobs(medium=medium)
        assert ref.configuration == f"the-{medium.channel}"
        assert {medium_of(each.id) for each in (await claim(records, medium)).deliveries} == {medium}


async def test_what_was_held_goes_on_by_its_own_medium(records: Records) -> None:
    await records.campaign()
    item = on_all(records, 1)
    await records.accept(item)
    await records.triggers.pause(item.trigger_id)
    for medium in MEDIA:
        [ref] = await records.jobs(medium=medium)
        assert await records.worker().claim(ref, lane=LANE) is NotClaimed.EMPTY
    await records.triggers.resume(item.trigger_id)
    for medium in MEDIA:
        found = await claim(records, medium)
        assert found.ref.configuration == f"the-{medium.channel}"
        assert {medium_of(each.id) for each in found.deliveries} == {medium}


async def test_an_ordering_key_orders_each_medium_by_itself(records: Records) -> None:
    await records.campaign()
    one, two = on_all(records, 1, ordered=True), on_all(records, 1, ordered=True)
    await records.accept(one)
    await records.accept(two)
    first = await claim(records, Medium.SMS)
    assert [each.trigger_id for each in first.deliveries] == [one.trigger_id]
    assert await records.jobs(medium=Medium.EMAIL) == [(await claim(records, Medium.EMAIL)).ref]
    await deliver(records.worker(), first)
    [ref] = await records.jobs(medium=Medium.SMS)
    assert ref.configuration == "the-sms"
    second = await claim(records, Medium.SMS)
    assert [each.trigger_id for each in second.deliveries] == [two.trigger_id]


async def test_a_redriven_delivery_goes_by_the_medium_it_came(records: Records) -> None:
    campaign = await records.campaign()
    item = on_all(records, 1)
    await records.accept(item)
    ids = []
    for medium in MEDIA:
        found = await claim(records, medium)
        ids += [each.id for each in found.deliveries]
        await deliver(records.worker(), found, REFUSED)
    dead = DeadLetterStore(records.store, 1, RETENTION_S)
    names = {medium: f"new-{medium.channel}" for medium in MEDIA}
    again = await dead.redrive(
        item.trigger_id, ids, campaign=campaign.key, revision=1, lane=LANE, policy="L5", configurations=names
    )
    assert again == 3
    for medium in MEDIA:
        [ref] = await records.jobs(medium=medium)
        assert ref.configuration == f"new-{medium.channel}"


async def test_a_dead_workers_batch_is_taken_over_in_its_own_queue(records: Records) -> None:
    await records.campaign()
    item = on_all(records, 1)
    await records.accept(item)
    worker = records.worker()
    found = await claim(records, Medium.SMS)
    await worker.advance(found, [], wanted(found))
    await records.lapse(found.ref.id)
    assert await records.sweep() == [(found.ref.id, "RECOVERED")]
    again = await claim(records, Medium.SMS)
    assert again.ref.epoch == 2
    await worker.advance(again, [], wanted(again))
    await worker.finish(again, results(wanted(again), SENT))
    assert (await records.counts(item.trigger_id)).sent == 1
