"""Facts: what is heard of a delivery after it was sent is kept once, in whatever order it comes, and moves nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion_core.domain.bounce import BounceCategory
from clarion_core.domain.delivery import DeliveryState
from clarion_core.domain.feedback import Fact, FactKind, FeedbackCounts
from clarion_core.store.facts import FactStore, Noted
from clarion_core.store.keys import LIMITS, key
from clarion_core.store.triggers import StoredDelivery
from support.records import RETENTION_S, SENT, Records, deliver

KEY = "default/welcome"
DELIVERED = Fact(kind=FactKind.DELIVERED, time_ms=5_000, provider="ses")
HARD = Fact(
    kind=FactKind.BOUNCED,
    time_ms=7_000,
    provider="dsn",
    category=BounceCategory.INVALID_RECIPIENT,
    code="5.1.1",
    detail="550 5.1.1 nobody here|really",
)
SOFT = replace(HARD, time_ms=6_000, category=BounceCategory.MAILBOX_FULL, code="4.2.2", detail="full")
COMPLAINED = Fact(kind=FactKind.COMPLAINED, time_ms=9_000, provider="ses")


@pytest.fixture
def facts(records: Records) -> FactStore:
    return FactStore(records.store, 1, RETENTION_S)


async def sent(records: Records, count: int = 1, scope: str = "", **ending: object) -> tuple[str, list[str]]:
    """A trigger whose deliveries are SENT, and their ids."""
    await records.campaign()
    trigger = await records.trigger(count)
    claim = await records.claim()
    await deliver(records.worker(), claim, replace(SENT, **ending), scope)  # type: ignore[arg-type]
    return trigger, [each.id for each in claim.deliveries]


async def stored(records: Records, trigger: str) -> list[StoredDelivery]:
    return await records.triggers.deliveries(trigger, (await records.get(trigger)).placement, 0, 500)


async def test_a_fact_is_kept_with_its_time_and_moves_nothing(records: Records, facts: FactStore) -> None:
    trigger, [first, second] = await sent(records, 2)
    assert await facts.note(first, HARD) is Noted.NEW
    bounced, other = await stored(records, trigger)
    assert bounced.facts == (HARD,)
    assert bounced.record.state is DeliveryState.SENT
    assert (other.id, other.facts) == (second, ())
    assert (await records.counts(trigger)).sent == 2


async def test_facts_are_counted_once_a_kind_for_trigger_and_campaign(records: Records, facts: FactStore) -> None:
    trigger, ids = await sent(records, 3)
    for each in ids:
        await facts.note(each, DELIVERED)
        await facts.note(each, replace(DELIVERED, time_ms=6_000))
    await facts.note(ids[0], HARD)
    await facts.note(ids[1], COMPLAINED)
    await facts.note(ids[1], replace(COMPLAINED, kind=FactKind.OPENED))
    counted = FeedbackCounts(delivered=3, bounced=1, complained=1)
    assert (await records.get(trigger)).trigger.feedback == counted
    assert await records.campaigns.feedback(KEY) == counted


async def test_the_verdict_says_what_was_new(records: Records, facts: FactStore) -> None:
    _, [one] = await sent(records)
    assert await facts.note(one, SOFT) is Noted.NEW
    assert await facts.note(one, SOFT) is Noted.KNOWN
    assert await facts.note(one, replace(SOFT, time_ms=1_000)) is Noted.KNOWN  # and it is the one that stays
    assert await facts.note(one, HARD) is Noted.CHANGED
    assert await facts.note(one, SOFT) is Noted.KNOWN


async def test_a_fact_is_told_by_an_event_with_where_the_delivery_stands(records: Records, facts: FactStore) -> None:
    trigger, [one] = await sent(records)
    before = len(await records.events())
    await facts.note(one, HARD)
    await facts.note(one, HARD)
    [event] = (await records.events())[before:]
    [told] = event.moves
    assert (event.trigger, event.feedback.bounced, event.counts.sent) == (trigger, 1, 1)
    assert (told.state, told.attempts, told.fact) == ("S", 1, replace(HARD, detail=""))


MANY = [
    DELIVERED,
    replace(DELIVERED, time_ms=4_000, provider="other"),
    replace(DELIVERED, time_ms=4_000, code="a"),
    HARD,
    replace(HARD, time_ms=6_500, category=BounceCategory.RECIPIENT_REFUSED),
    SOFT,
    COMPLAINED,
]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(order=st.permutations(MANY * 2))
async def test_whatever_the_order_and_however_often_the_same_facts_stay(records: Records, order: list[Fact]) -> None:
    facts = FactStore(records.store, 1, RETENTION_S)
    trigger, [one] = await sent(records)
    for fact in order:
        await facts.note(one, fact)
    [delivery] = await stored(records, trigger)
    assert delivery.facts == (MANY[1], MANY[4], COMPLAINED)
    assert (await records.get(trigger)).trigger.feedback == FeedbackCounts(delivered=1, bounced=1, complained=1)


async def test_a_time_that_is_missing_or_ahead_of_the_store_becomes_now(records: Records, facts: FactStore) -> None:
    trigger, [one] = await sent(records)
    await facts.note(one, replace(DELIVERED, time_ms=0))
    await facts.note(one, replace(COMPLAINED, time_ms=9_000_000_000_000))
    [delivery] = await stored(records, trigger)
    [seconds, _] = await records.store.command("TIME")
    assert all(0 <= 1000 * (seconds + 1) - fact.time_ms < 60_000 for fact in delivery.facts)


@pytest.mark.parametrize(
    "name", ["", "nobody", "0" * 21 + "-0", "é" * 21 + "-1", "zz" + "0" * 19 + "-0", "0" * 21 + "-1234567", "a\nb-1"]
)
async def test_a_delivery_that_there_is_not_is_gone(records: Records, facts: FactStore, name: str) -> None:
    assert await facts.note(name, HARD) is Noted.GONE
    assert await facts.addressee(name) is None
    assert await records.store.command("KEYS", "*:f:*") == []


async def test_a_fact_after_the_lifetime_of_its_delivery_leaves_nothing_behind(
    records: Records, facts: FactStore
) -> None:
    trigger, [one] = await sent(records)
    page = f"{one.split('-')[0]}.0"
    await records.store.command("DEL", key(0, "trigger", trigger), key(0, "head", trigger))
    assert await facts.note(one, HARD) is Noted.GONE
    await records.store.command("DEL", key(0, "payload", page), key(0, "ledger", page))
    assert await facts.note(one, HARD) is Noted.GONE
    assert await records.store.command("EXISTS", key(0, "trigger", trigger), key(0, "facts", page)) == 0


async def test_facts_live_as_long_as_the_page_they_are_of(records: Records, facts: FactStore) -> None:
    trigger, [one] = await sent(records)
    await facts.note(one, HARD)
    kept = await records.keys()
    page = f"{one.split('-')[0]}.0"
    assert 0 < kept[f"{{0}}:f:{page}"] <= RETENTION_S
    assert 0 < kept[f"{{0}}:t:{trigger}"] <= RETENTION_S


async def test_what_is_heard_before_the_trigger_ends_gets_its_lifetime_with_it(
    records: Records, facts: FactStore
) -> None:
    await records.campaign()
    await records.trigger()
    claim = await records.claim()
    one = claim.deliveries[0].id
    assert await facts.note(one, DELIVERED) is Noted.NEW  # a receipt that overtook the outcome
    page = f"{one.split('-')[0]}.0"
    assert (await records.keys())[f"{{0}}:f:{page}"] == -1
    await deliver(records.worker(), claim)
    assert (await records.keys())[f"{{0}}:f:{page}"] == RETENTION_S


async def test_the_providers_own_id_is_kept_with_the_delivery(records: Records) -> None:
    trigger, _ = await sent(records, 2, provider_id="SM123")
    assert [each.provider_id for each in await stored(records, trigger)] == ["SM123", "SM123"]
    assert await records.store.command("KEYS", "*:sa:*") == []


async def test_a_receipt_that_names_the_providers_id_alone_finds_its_delivery(
    records: Records, facts: FactStore
) -> None:
    trigger, [one] = await sent(records, provider_id="m1 m2", receipts_by_id=True)
    assert await facts.note_sent_as("", "m2", DELIVERED) == (Noted.NEW, one)
    assert await facts.note_sent_as("", "m1", DELIVERED) == (Noted.KNOWN, one)
    assert [fact.kind for fact in (await stored(records, trigger))[0].facts] == [FactKind.DELIVERED]
    kept = await records.keys()
    assert 0 < kept["{0}:sa::m1"] * 1000 <= LIMITS["SENT_AS_TTL_MS"]


async def test_providers_of_one_name_in_two_configurations_may_give_the_same_id(
    records: Records, facts: FactStore
) -> None:
    for scope in ("one/texts", "two/texts", ""):
        _, [delivery] = await sent(records, scope=scope, provider_id="m1", receipts_by_id=True)
        name = f"{scope}/" if scope else ""
        assert await facts.note_sent_as(name, "m1", DELIVERED) == (Noted.NEW, delivery)


async def test_a_receipt_that_overtakes_the_outcome_waits_for_it(records: Records, facts: FactStore) -> None:
    for _ in range(2):
        assert await facts.note_sent_as("", "m1", DELIVERED) == (Noted.WAITING, "")
    assert await facts.note_sent_as("", "m1", HARD) == (Noted.WAITING, "")
    assert 0 < (await records.keys())["{0}:er::m1"] * 1000 <= LIMITS["EARLY_TTL_MS"]
    trigger, _ = await sent(records, provider_id="m1", receipts_by_id=True)
    [delivery] = await stored(records, trigger)
    assert delivery.facts == (DELIVERED, HARD)
    assert (await records.get(trigger)).trigger.feedback == FeedbackCounts(delivered=1, bounced=1)
    assert await records.store.command("KEYS", "*:er:*") == []
    told = [move.fact.kind.name if move.fact else move.state for each in await records.events() for move in each.moves]
    assert told == ["S", "DELIVERED", "BOUNCED"]


async def test_no_more_than_a_few_facts_wait_for_an_id(records: Records, facts: FactStore) -> None:
    for at in range(20):
        await facts.note_sent_as("", "m1", replace(DELIVERED, time_ms=1_000 + at))
    assert await records.store.command("LLEN", key(0, "early", ":m1")) == LIMITS["EARLY_MAX"]


async def test_whose_a_delivery_is_can_be_asked(records: Records, facts: FactStore) -> None:
    trigger, ids = await sent(records, 12)
    found = await facts.addressee(ids[11])
    assert found
    assert (found.trigger_id, found.head.workspace, found.head.campaign_id) == (trigger, "default", "welcome")
    assert found.recipient.addresses == {"email": "user-11@example.com"}
    assert found.record.state is DeliveryState.SENT
