"""Expire times, times to live and ordering keys over the wire: what is taken, what is refused, what a repeat gets."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from clarion.v1 import delivery_pb2, trigger_pb2
from clarion.v1 import delivery_service_pb2 as deliveries
from clarion.v1 import trigger_service_pb2 as pb
from clarion_core.store.store import Store
from support.clarion import CAMPAIGN, Clarion, a_recipient, a_trigger
from support.refusal import refused

Proto = trigger_pb2.Trigger
LATEST = Timestamp(seconds=253_402_300_799, nanos=999_000_000)  # the end of the year 9999


def in_s(seconds: float) -> Timestamp:
    """An instant so far from now, in whole milliseconds, as they are kept."""
    made = Timestamp()
    made.FromMilliseconds(time.time_ns() // 1_000_000 + round(1000 * seconds))
    return made


async def read(clarion: Clarion, name: str) -> Proto:
    return (await clarion.triggers.GetTrigger(pb.GetTriggerRequest(name=name))).trigger


async def test_a_trigger_reads_as_it_was_accepted(clarion: Clarion) -> None:
    await clarion.live_campaign()
    expire = in_s(3600)
    trigger = await clarion.trigger(2, expire_time=expire, ordering_key="account-7 / ü")
    assert (trigger.expire_time, trigger.ordering_key) == (expire, "account-7 / ü")
    assert await read(clarion, trigger.name) == trigger
    [listed] = (await clarion.triggers.ListTriggers(pb.ListTriggersRequest(campaign=CAMPAIGN))).triggers
    assert listed == trigger
    plain = await clarion.trigger()
    assert (plain.HasField("expire_time"), plain.ordering_key) == (False, "")


@pytest.mark.parametrize("own_s", [60, 7200, None])
async def test_the_earlier_of_the_callers_time_and_the_campaigns_holds(clarion: Clarion, own_s: int | None) -> None:
    await clarion.live_campaign(time_to_live_s=3600)
    own = in_s(own_s) if own_s else None
    request = a_trigger(expire_time=own)
    request.validate_only = True
    would = (await clarion.triggers.CreateTrigger(request)).trigger
    trigger = await clarion.trigger(expire_time=own)
    campaigns = trigger.create_time.ToMilliseconds() + 3_600_000
    assert trigger.expire_time.ToMilliseconds() == min(campaigns, own.ToMilliseconds() if own else campaigns)
    assert would.HasField("expire_time")
    assert would.expire_time.ToMilliseconds() <= trigger.expire_time.ToMilliseconds()


@pytest.mark.parametrize(
    "late",
    [
        lambda: in_s(-0.001),
        lambda: Timestamp(seconds=1),
        lambda: Timestamp(seconds=-1),
        lambda: Timestamp(seconds=-62_135_596_800),
        Timestamp,
    ],
    ids=["just now", "1970", "before 1970", "year 1", "the epoch"],
)
@pytest.mark.parametrize("validate_only", [False, True])
async def test_a_time_that_is_over_is_refused_and_nothing_is_stored(
    clarion: Clarion, store: Store, late: type[Timestamp], validate_only: bool
) -> None:
    await clarion.live_campaign()
    keys = await store.command("DBSIZE")
    error = await refused(clarion.triggers.CreateTrigger(a_trigger(expire_time=late(), validate_only=validate_only)))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert error.violations == {"expire_time": "must lie in the future: nothing could be sent any more"}
    assert await store.command("DBSIZE") == keys


async def test_the_latest_instant_there_is_can_be_named(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger(expire_time=LATEST)
    assert trigger.expire_time == LATEST
    assert trigger.expire_time.ToDatetime(UTC) > datetime.now(UTC) + timedelta(days=365_000)


@pytest.mark.parametrize(
    "impossible",
    [
        Timestamp(seconds=LATEST.seconds + 1),
        Timestamp(seconds=2**63 - 1),
        Timestamp(seconds=-(2**63)),
        Timestamp(seconds=LATEST.seconds, nanos=10**9),
        Timestamp(seconds=LATEST.seconds, nanos=-1),
    ],
    ids=["year 10000", "far", "long ago", "too many nanos", "negative nanos"],
)
async def test_an_instant_that_is_none_is_refused_by_its_field(clarion: Clarion, impossible: Timestamp) -> None:
    await clarion.live_campaign()
    where = {"campaign": CAMPAIGN}
    calls = {
        "expire_time": clarion.triggers.CreateTrigger(a_trigger(expire_time=impossible)),
        "filter.from_time": clarion.deliveries.ListDeadLetters(
            deliveries.ListDeadLettersRequest(filter={**where, "from_time": impossible})
        ),
        "filter.until_time": clarion.deliveries.RedriveDeadLetters(
            deliveries.RedriveDeadLettersRequest(filter={**where, "until_time": impossible})
        ),
    }
    for path, call in calls.items():
        error = await refused(call)
        assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert list(error.violations) == [path]


async def test_an_ordering_key_of_129_characters_is_too_long(clarion: Clarion) -> None:
    await clarion.live_campaign()
    assert (await clarion.trigger(ordering_key="ä" * 128)).ordering_key == "ä" * 128
    error = await refused(clarion.triggers.CreateTrigger(a_trigger(ordering_key="ä" * 129)))
    assert list(error.violations) == ["ordering_key"]


@pytest.mark.parametrize("change", [{"expire_time": in_s(7200)}, {"ordering_key": "another"}], ids=["expiry", "key"])
async def test_the_same_request_id_with_another_expiry_or_key_is_refused(
    clarion: Clarion, change: dict[str, object]
) -> None:
    await clarion.live_campaign()
    fields = {"request_id": str(uuid.uuid4()), "expire_time": in_s(3600), "ordering_key": "account-7"}
    first = await clarion.trigger(**fields)
    error = await refused(clarion.triggers.CreateTrigger(a_trigger(**fields | change)))
    assert error.says == (StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    again = await clarion.triggers.CreateTrigger(a_trigger(**fields))
    assert (again.replayed, again.trigger) == (True, first)


async def test_a_repeat_gets_the_first_answer_also_when_its_time_is_over_by_then(
    clarion: Clarion, monkeypatch: pytest.MonkeyPatch
) -> None:
    await clarion.live_campaign()
    expire = in_s(3600)
    request = a_trigger(expire_time=expire, request_id=str(uuid.uuid4()))
    first = await clarion.triggers.CreateTrigger(request)
    monkeypatch.setattr("clarion_server.triggering._now_ms", lambda: expire.ToMilliseconds())
    again = await clarion.triggers.CreateTrigger(request)
    assert (again.replayed, again.trigger) == (True, first.trigger)
    request.request_id = str(uuid.uuid4())
    assert list((await refused(clarion.triggers.CreateTrigger(request))).violations) == ["expire_time"]


async def test_what_expired_says_so_and_is_no_dead_letter(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger(2, expire_time=in_s(0.3))
    await clarion.work(1)  # where nobody listens
    ended = await clarion.finished(trigger.name)
    assert (ended.state, ended.counts.expired, ended.counts.in_flight) == (Proto.STATE_COMPLETED, 2, 0)
    found = (await clarion.deliveries.ListDeliveries(deliveries.ListDeliveriesRequest(trigger=trigger.name))).deliveries
    assert {(each.state, each.reason) for each in found} == {
        (delivery_pb2.Delivery.STATE_EXPIRED, delivery_pb2.Delivery.REASON_EXPIRED)
    }
    dead = await clarion.deliveries.ListDeadLetters(deliveries.ListDeadLettersRequest(filter={"campaign": CAMPAIGN}))
    assert not dead.deliveries


async def test_refused_recipients_stand_in_no_line(clarion: Clarion, store: Store) -> None:
    await clarion.live_campaign()
    recipients = [a_recipient(0), a_recipient(1, addresses={}), a_recipient(2)]
    trigger = await clarion.trigger(recipients=recipients, ordering_key="account-7")
    assert (trigger.counts.accepted, len(trigger.refusals)) == (2, 1)
    assert len(await store.command("KEYS", "clarion:{0}:o:*")) == 2
