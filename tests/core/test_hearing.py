"""Hearing: a fact on the delivery, and on the address what the fact says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clarion_core.domain.bounce import BounceCategory
from clarion_core.domain.delivery import DeliveryState
from clarion_core.domain.feedback import Fact, FactKind
from clarion_core.domain.medium import Channel
from clarion_core.domain.suppression import SuppressionReason
from clarion_core.hearing import Hearing
from clarion_core.store.facts import FactStore, Noted
from clarion_core.store.keys import CONTROL, key
from clarion_core.store.store import Store
from clarion_core.store.suppressions import Suppressions
from support.hearing import a_hearing
from support.records import RETENTION_S, SENT, Records, deliver

ADDRESS = "user-0@example.com"
SOFT = Fact(kind=FactKind.BOUNCED, time_ms=5_000, provider="ses", category=BounceCategory.MAILBOX_FULL, code="4.2.2")
DELIVERED = Fact(kind=FactKind.DELIVERED, time_ms=6_000, provider="ses")


@pytest.fixture
def records(store: Store) -> Records:
    return Records(store)


@pytest.fixture
def hearing(store: Store) -> Hearing:
    return a_hearing(store)


async def sent(records: Records, **ending: object) -> str:
    await records.campaign()
    await records.trigger()
    claim = await records.claim()
    await deliver(records.worker(), claim, replace(SENT, **ending))  # type: ignore[arg-type]
    return claim.deliveries[0].id


async def reason(records: Records) -> SuppressionReason | None:
    [verdict] = await Suppressions(records.store).verdicts("default", Channel.EMAIL, [ADDRESS])
    return verdict.by.reason if verdict.by else None


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (replace(SOFT, category=BounceCategory.INVALID_RECIPIENT), SuppressionReason.HARD_BOUNCE),
        (replace(SOFT, category=BounceCategory.RECIPIENT_REFUSED), SuppressionReason.HARD_BOUNCE),
        (SOFT, None),
        (replace(SOFT, category=BounceCategory.POLICY), None),
        (replace(SOFT, category=BounceCategory.UNDETERMINED), None),
        (Fact(kind=FactKind.COMPLAINED), SuppressionReason.COMPLAINT),
        (Fact(kind=FactKind.DEFERRED), None),
        (DELIVERED, None),
    ],
)
async def test_what_a_fact_says_of_the_address(
    records: Records, hearing: Hearing, fact: Fact, expected: SuppressionReason | None
) -> None:
    one = await sent(records)
    assert await hearing.hear(one, fact) is Noted.NEW
    assert await reason(records) is expected


async def remembered(records: Records) -> int:
    """Addresses that something is known of: suppressed, or with a soft bounce."""
    return int(await records.store.command("HGET", key(CONTROL, "list", "s:default/email"), "n") or 0)


async def test_a_soft_bounce_counts_and_a_message_that_arrives_sets_it_back(records: Records, hearing: Hearing) -> None:
    one = await sent(records)
    await hearing.hear(one, SOFT)
    assert await remembered(records) == 1
    await hearing.hear(one, DELIVERED)
    assert await remembered(records) == 0


async def test_a_fact_that_was_noted_and_not_told_on_is_mended_by_hearing_it_again(
    records: Records, hearing: Hearing
) -> None:
    """Whoever was cut off between the two did not answer: it comes again."""
    one = await sent(records)
    hard = replace(SOFT, category=BounceCategory.INVALID_RECIPIENT)
    await FactStore(records.store, 1, RETENTION_S).note(one, hard)
    assert await reason(records) is None
    assert await hearing.hear(one, hard) is Noted.KNOWN
    assert await reason(records) is SuppressionReason.HARD_BOUNCE


async def test_who_bounced_because_they_want_no_more_is_unsubscribed(records: Records, hearing: Hearing) -> None:
    one = await sent(records)
    await hearing.hear(one, replace(SOFT, category=BounceCategory.RECIPIENT_REFUSED), unsubscribed=True)
    assert await reason(records) is SuppressionReason.UNSUBSCRIBED


async def test_what_is_gone_says_nothing_of_anybody(records: Records, hearing: Hearing) -> None:
    hard = replace(SOFT, category=BounceCategory.INVALID_RECIPIENT)
    assert await hearing.hear("00" + "1" * 19 + "-0", hard) is Noted.GONE
    assert await reason(records) is None


async def test_a_receipt_by_the_providers_id_says_the_same(records: Records, hearing: Hearing) -> None:
    hard = replace(SOFT, category=BounceCategory.INVALID_RECIPIENT)
    await sent(records, state=DeliveryState.SENT, provider_id="m1", receipts_by_id=True)
    assert await hearing.hear_sent_as("", "m1", hard) is Noted.NEW
    assert await reason(records) is SuppressionReason.HARD_BOUNCE
    assert await hearing.hear_sent_as("", "m2", hard) is Noted.WAITING
