"""Suppression and allow lists in the store: who may be sent to, what is counted, and how a list is walked."""

from __future__ import annotations

import pytest

from clarion_core.domain.medium import Channel
from clarion_core.domain.outcome import AddressFact as Fact
from clarion_core.domain.suppression import (
    COUNTED_MS,
    COUNTER_KEPT_MS,
    DAY_MS,
    Entry,
    SuppressionReason,
    Target,
    TargetKind,
    Verdict,
    VerdictKind,
)
from clarion_core.store.keys import CONTROL, LIMITS, key
from clarion_core.store.store import Store
from clarion_core.store.suppressions import BEGINNING, Added, AllowLists, AllowListState, Place, Suppressions, Told
from support.lists import let_pass

EMAIL, SMS, PUSH, WEBHOOK = Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.WEBHOOK
ADA = "ada@example.com"
KINDS = VerdictKind
REASONS = SuppressionReason


@pytest.fixture
def suppressions(store: Store) -> Suppressions:
    return Suppressions(store)


@pytest.fixture
def allowed(store: Store) -> AllowLists:
    return AllowLists(store)


def entry(value: str, reason: SuppressionReason | None = REASONS.MANUAL, **fields: object) -> Entry:
    kind = TargetKind.DOMAIN if value.startswith("@") else TargetKind.ADDRESS
    return Entry(target=Target(kind, value.removeprefix("@")), reason=reason, **fields)  # type: ignore[arg-type]


async def add(
    suppressions: Suppressions, value: str, reason: SuppressionReason = REASONS.MANUAL, **fields: object
) -> Added:
    (added,) = await suppressions.add("default", EMAIL, [entry(value, reason, **fields)])
    return added


async def verdict(suppressions: Suppressions, address: str = ADA, channel: Channel = EMAIL, **how: bool) -> Verdict:
    (found,) = await suppressions.verdicts("default", channel, [address], **how)
    return found


async def kind(suppressions: Suppressions, address: str = ADA, channel: Channel = EMAIL, **how: bool) -> VerdictKind:
    return (await verdict(suppressions, address, channel, **how)).kind


async def hear(suppressions: Suppressions, fact: Fact, address: str = ADA, **more: int) -> SuppressionReason | None:
    (reason,) = await suppressions.hear("default", EMAIL, [Told(address=address, fact=fact, source="smtp")], **more)
    return reason


async def stored(suppressions: Suppressions, channel: Channel = EMAIL) -> list[Entry]:
    return [each async for each in suppressions.walk("default", channel)]


async def test_nobody_is_suppressed_where_no_list_is(suppressions: Suppressions) -> None:
    assert await suppressions.verdicts("default", EMAIL, [ADA, "bob@example.com"]) == [Verdict(), Verdict()]
    assert await suppressions.verdicts("default", EMAIL, []) == []


async def test_an_address_is_suppressed_from_the_moment_it_is_added_until_it_is_removed(
    suppressions: Suppressions,
) -> None:
    assert await add(suppressions, ADA, source="api", comment="asked by phone | twice\n") is Added.ADDED
    found = await verdict(suppressions)
    assert found.kind is KINDS.ADDRESS_SUPPRESSED
    assert found.by
    assert (found.by.target.value, found.by.reason, found.by.source, found.by.comment) == (
        ADA,
        REASONS.MANUAL,
        "api",
        "asked by phone | twice ",
    )
    assert found.by.create_ms > 0
    assert found.by.expire_ms == 0
    assert await suppressions.remove("default", EMAIL, [found.by.target]) == [True]
    assert await suppressions.remove("default", EMAIL, [found.by.target]) == [False]
    assert await kind(suppressions) is KINDS.MAY


@pytest.mark.parametrize("spelling", ["ADA@example.com", "Ada@EXAMPLE.com", "ada@Example.Com"])
async def test_the_case_of_an_address_does_not_matter(suppressions: Suppressions, spelling: str) -> None:
    await add(suppressions, ADA)
    assert await kind(suppressions, spelling) is KINDS.ADDRESS_SUPPRESSED


async def test_lists_of_other_channels_and_workspaces_are_others(suppressions: Suppressions) -> None:
    await suppressions.add("other", EMAIL, [entry(ADA)])
    await suppressions.add("default", PUSH, [entry(ADA)])
    assert await kind(suppressions) is KINDS.MAY


async def test_a_domain_is_itself_and_a_wildcard_is_what_is_below_it(suppressions: Suppressions) -> None:
    await add(suppressions, "@example.com")
    await add(suppressions, "@*.example.org")
    found = {
        address: await kind(suppressions, address)
        for address in (ADA, "a@mail.example.com", "a@example.org", "a@x.example.org", "a@x.y.example.org", "a@org")
    }
    assert found == {
        ADA: KINDS.DOMAIN_SUPPRESSED,
        "a@mail.example.com": KINDS.MAY,
        "a@example.org": KINDS.MAY,
        "a@x.example.org": KINDS.DOMAIN_SUPPRESSED,
        "a@x.y.example.org": KINDS.DOMAIN_SUPPRESSED,
        "a@org": KINDS.MAY,
    }
    by = (await verdict(suppressions, "a@x.y.example.org")).by
    assert by
    assert by.target == Target(TargetKind.DOMAIN, "*.example.org")


@pytest.mark.parametrize(
    ("channel", "listed", "asked"),
    [
        (SMS, "+4915112345678", "+49 151 12345678"),
        (PUSH, "https://push.example.com/x", '{"endpoint": "https://push.example.com/x", "keys": {"auth": "k"}}'),
        (PUSH, "ab" * 32, "AB" * 32),
        (WEBHOOK, "https://example.com/hook?a=1", "HTTPS://Example.COM:443/hook?a=1#top"),
    ],
)
async def test_an_address_of_every_channel_is_found_however_it_is_spelled(
    suppressions: Suppressions, channel: Channel, listed: str, asked: str
) -> None:
    await suppressions.add("default", channel, [entry(listed)])
    assert await kind(suppressions, asked, channel) is KINDS.ADDRESS_SUPPRESSED


async def test_the_host_of_a_webhook_is_its_domain(suppressions: Suppressions) -> None:
    await suppressions.add("default", WEBHOOK, [entry("@hooks.example.com")])
    assert await kind(suppressions, "https://hooks.example.com:8443/x@y.z", WEBHOOK) is KINDS.DOMAIN_SUPPRESSED
    assert await kind(suppressions, "https://example.com/@hooks.example.com", WEBHOOK) is KINDS.MAY


async def test_what_is_on_no_list_and_no_address_either_is_only_not_found(suppressions: Suppressions) -> None:
    for channel in Channel:
        await suppressions.add("default", channel, [entry("listed")])
        assert await kind(suppressions, "not an address at all", channel) is KINDS.MAY


async def test_an_entry_that_expired_suppresses_nobody(suppressions: Suppressions, store: Store) -> None:
    (seconds, _) = await store.command("TIME")
    await add(suppressions, ADA, expire_ms=1000 * seconds + DAY_MS)
    assert await kind(suppressions) is KINDS.ADDRESS_SUPPRESSED
    await let_pass(store, DAY_MS)
    assert await kind(suppressions) is KINDS.MAY
    assert await stored(suppressions) == []
    assert await add(suppressions, ADA) is Added.ADDED


async def test_complaints_alone_are_passed_over(suppressions: Suppressions) -> None:
    await add(suppressions, ADA, REASONS.COMPLAINT)
    await add(suppressions, "@complained.example", REASONS.COMPLAINT)
    await add(suppressions, "bob@example.com", REASONS.HARD_BOUNCE)
    for address, at_all, passing in (
        (ADA, KINDS.ADDRESS_SUPPRESSED, KINDS.MAY),
        ("a@complained.example", KINDS.DOMAIN_SUPPRESSED, KINDS.MAY),
        ("bob@example.com", KINDS.ADDRESS_SUPPRESSED, KINDS.ADDRESS_SUPPRESSED),
    ):
        assert await kind(suppressions, address) is at_all
        assert await kind(suppressions, address, pass_over_complaints=True) is passing


async def test_a_complaint_never_hides_another_reason(suppressions: Suppressions) -> None:
    await add(suppressions, ADA, REASONS.HARD_BOUNCE)
    assert await add(suppressions, ADA, REASONS.COMPLAINT) is Added.KEPT
    assert await hear(suppressions, Fact.COMPLAINT) is None
    assert [each.reason for each in await stored(suppressions)] == [REASONS.HARD_BOUNCE]
    await add(suppressions, "@example.org", REASONS.COMPLAINT)
    await add(suppressions, "@*.org", REASONS.MANUAL)
    assert await kind(suppressions, "a@example.org", pass_over_complaints=True) is KINDS.DOMAIN_SUPPRESSED


async def test_another_reason_takes_the_place_of_a_complaint(suppressions: Suppressions) -> None:
    assert await hear(suppressions, Fact.COMPLAINT) is REASONS.COMPLAINT
    assert await hear(suppressions, Fact.HARD_BOUNCE) is None
    assert [each.reason for each in await stored(suppressions)] == [REASONS.HARD_BOUNCE]


async def test_what_somebody_tells_replaces_what_stood_and_what_a_provider_tells_does_not(
    suppressions: Suppressions, store: Store
) -> None:
    await add(suppressions, ADA, comment="first")
    assert await add(suppressions, ADA, comment="second") is Added.UPDATED
    await let_pass(store, DAY_MS)
    (before,) = await stored(suppressions)
    assert await add(suppressions, ADA, comment="second") is Added.KEPT
    assert await stored(suppressions) == [before]
    await hear(suppressions, Fact.HARD_BOUNCE)
    (one,) = await stored(suppressions)
    assert (one.reason, one.comment) == (REASONS.MANUAL, "second")


async def test_a_fact_makes_a_suppression_that_was_to_expire_last(suppressions: Suppressions, store: Store) -> None:
    (seconds, _) = await store.command("TIME")
    await add(suppressions, ADA, expire_ms=1000 * seconds + DAY_MS)
    await hear(suppressions, Fact.HARD_BOUNCE)
    assert [each.expire_ms for each in await stored(suppressions)] == [0]


@pytest.mark.parametrize("fact", [fact for fact in Fact if fact.name in REASONS.__members__])
async def test_what_is_for_good_suppresses_at_once(suppressions: Suppressions, fact: Fact) -> None:
    assert await hear(suppressions, fact) is REASONS[fact.name]
    assert await hear(suppressions, fact) is None
    assert await kind(suppressions) is KINDS.ADDRESS_SUPPRESSED


async def test_five_soft_bounces_a_day_apart_suppress_and_a_day_counts_once(
    suppressions: Suppressions, store: Store
) -> None:
    for _ in range(4):
        for _ in range(3):
            assert await hear(suppressions, Fact.SOFT_REFUSAL) is None
        found = await verdict(suppressions)
        assert found.may
        assert found.counting
        assert await stored(suppressions) == []
        await let_pass(store, COUNTED_MS)
    assert await hear(suppressions, Fact.SOFT_REFUSAL) is REASONS.SOFT_BOUNCES
    assert await kind(suppressions) is KINDS.ADDRESS_SUPPRESSED


async def test_a_success_sets_the_count_back_and_lifts_no_suppression(suppressions: Suppressions, store: Store) -> None:
    for _ in range(4):
        await hear(suppressions, Fact.SOFT_REFUSAL)
        await let_pass(store, COUNTED_MS)
    await hear(suppressions, Fact.TAKEN)
    assert await verdict(suppressions) == Verdict()
    assert await hear(suppressions, Fact.SOFT_REFUSAL) is None
    await hear(suppressions, Fact.HARD_BOUNCE)
    await hear(suppressions, Fact.TAKEN)
    assert await kind(suppressions) is KINDS.ADDRESS_SUPPRESSED


async def test_what_a_relay_took_says_nothing_of_an_address_that_receipts_tell_of(
    suppressions: Suppressions, store: Store
) -> None:
    for fact in (Fact.SOFT_REFUSAL, Fact.SOFT_BOUNCE):
        assert await hear(suppressions, fact, soft_bounces=3) is None
        await let_pass(store, COUNTED_MS)
    assert await verdict(suppressions) == Verdict()  # a success has nothing to set back
    await hear(suppressions, Fact.TAKEN)
    assert await hear(suppressions, Fact.SOFT_BOUNCE, soft_bounces=3) is REASONS.SOFT_BOUNCES
    await suppressions.remove("default", EMAIL, [entry(ADA).target])
    for fact in (Fact.SOFT_BOUNCE, Fact.REACHED, Fact.SOFT_BOUNCE, Fact.SOFT_BOUNCE):
        assert await hear(suppressions, fact, soft_bounces=2) is None


async def test_a_counter_is_forgotten_after_half_a_year(suppressions: Suppressions, store: Store) -> None:
    await hear(suppressions, Fact.SOFT_REFUSAL, soft_bounces=2)
    await let_pass(store, COUNTER_KEPT_MS)
    assert await hear(suppressions, Fact.SOFT_REFUSAL, soft_bounces=2) is None
    await let_pass(store, COUNTED_MS)
    assert await hear(suppressions, Fact.SOFT_REFUSAL, soft_bounces=2) is REASONS.SOFT_BOUNCES


async def test_an_active_allow_list_that_is_empty_forbids_everything(
    suppressions: Suppressions, allowed: AllowLists
) -> None:
    assert await allowed.set_active("default", EMAIL, active=True) == AllowListState(active=True, entries=0)
    assert await kind(suppressions) is KINDS.ADDRESS_NOT_ALLOWED
    assert await kind(suppressions, "+4915112345678", SMS) is KINDS.MAY
    await allowed.set_active("default", EMAIL, active=False)
    assert await kind(suppressions) is KINDS.MAY


async def test_an_active_allow_list_lets_through_what_is_on_it_and_not_suppressed(
    suppressions: Suppressions, allowed: AllowLists
) -> None:
    await allowed.add("default", EMAIL, [entry("@example.com", None)])
    assert await kind(suppressions, "bob@example.org") is KINDS.MAY
    await allowed.set_active("default", EMAIL, active=True)
    assert await kind(suppressions) is KINDS.MAY
    assert await kind(suppressions, "bob@example.org") is KINDS.DOMAIN_NOT_ALLOWED
    await allowed.add("default", EMAIL, [entry("bob@example.org", None)])
    assert await kind(suppressions, "bob@example.org") is KINDS.MAY
    assert await kind(suppressions, "eve@example.org") is KINDS.ADDRESS_NOT_ALLOWED
    await add(suppressions, ADA)
    assert await kind(suppressions) is KINDS.ADDRESS_SUPPRESSED
    assert await allowed.state("default", EMAIL) == AllowListState(active=True, entries=2)


async def test_a_batch_is_answered_in_order_whatever_is_in_it(suppressions: Suppressions) -> None:
    await suppressions.add("default", EMAIL, [entry(f"user-{index}@example.com") for index in range(0, 100, 3)])
    await hear(suppressions, Fact.SOFT_REFUSAL, "user-1@example.com")
    found = await suppressions.verdicts("default", EMAIL, [f"user-{index}@example.com" for index in range(100)])
    assert [index for index, each in enumerate(found) if not each.may] == list(range(0, 100, 3))
    assert [index for index, each in enumerate(found) if each.counting] == [1]


async def test_a_walk_sees_what_is_there_all_along_once_however_the_list_grows_and_shrinks(
    suppressions: Suppressions,
) -> None:
    stays = [f"user-{index}@example.com" for index in range(3000)]
    await suppressions.add("default", EMAIL, [entry(each) for each in stays])
    seen: list[str] = []
    place: Place | None = BEGINNING
    grown = 0
    while place is not None:
        page, place = await suppressions.page("default", EMAIL, place, 100)
        assert len(page) <= 100
        seen += [each.target.value for each in page]
        await suppressions.add("default", EMAIL, [entry(f"new-{grown + n}@example.com") for n in range(500)])
        await suppressions.remove(
            "default", EMAIL, [entry(f"new-{grown + n}@example.com").target for n in range(0, 500, 2)]
        )
        grown += 500
    assert sorted(each for each in seen if each.startswith("user-")) == sorted(stays)
    assert len(set(seen)) == len(seen)


async def test_a_bucket_stays_small_and_an_empty_list_leaves_nothing(suppressions: Suppressions, store: Store) -> None:
    listed = [entry(f"user-{index}@example.com") for index in range(5000)]
    await suppressions.add("default", EMAIL, listed)
    buckets = await store.command("KEYS", key(CONTROL, "listed", "*"))
    assert 5000 / LIMITS["BUCKET"] <= len(buckets) < 5000 / LIMITS["BUCKET"] + 2
    assert {await store.command("OBJECT ENCODING", name) for name in buckets} == {b"listpack"}
    assert all(await suppressions.remove("default", EMAIL, [each.target for each in listed]))
    assert await store.command("KEYS", "*") == []


async def test_the_upkeep_removes_what_is_over(suppressions: Suppressions, store: Store) -> None:
    (seconds, _) = await store.command("TIME")
    await suppressions.add(
        "default", EMAIL, [entry(f"u{n}@example.com", expire_ms=1000 * seconds + DAY_MS) for n in range(200)]
    )
    await add(suppressions, ADA)
    await hear(suppressions, Fact.SOFT_REFUSAL, "soft@example.com")
    assert await suppressions.trim() == 0
    await let_pass(store, COUNTER_KEPT_MS)
    assert await suppressions.trim() == 201
    assert [each.target.value for each in await stored(suppressions)] == [ADA]
