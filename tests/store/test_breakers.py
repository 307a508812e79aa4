"""The breakers that all workers share: when they open, who probes, what closes them."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from clarion_core.domain.breaker import BreakerPolicy, BreakerState, Probe, Standing, Verdict
from clarion_core.store.breakers import Breakers
from clarion_core.store.connection import connect
from clarion_core.store.keys import CONTROL, LIMITS, key
from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from support.breakers import let_pass

POLICY = BreakerPolicy()
CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
PAUSE_S, PAUSE_MAX_S, PROBE_S = POLICY.pause_ms / 1000, POLICY.pause_max_ms / 1000, POLICY.probe_ms / 1000


@pytest.fixture
def breakers(store: Store) -> Breakers:
    return Breakers(store, channel="email")


def bad(count: int, well: int = 0) -> Verdict:
    return Verdict(well=well, badly=count)


GOOD = Verdict(well=1)


async def standing(breakers: Breakers, name: str = "one") -> Standing:
    return (await breakers.look([name]))[name]


async def granted(breakers: Breakers, name: str = "one") -> Probe:
    probe = (await breakers.ask([name]))[name].probe
    assert probe
    return probe


async def opened(breakers: Breakers, store: Store, name: str = "one") -> None:
    """Open, and its pause over."""
    assert (await breakers.report(name, bad(POLICY.in_a_row))).state is OPEN
    await let_pass(store, PAUSE_S)


async def pause_s(breakers: Breakers, name: str = "one") -> float:
    return (await standing(breakers, name)).wait_ms / 1000


async def test_a_provider_nobody_has_heard_of_is_used(breakers: Breakers) -> None:
    found = await breakers.ask(["one", "two"])
    assert found == {"one": Standing(state=CLOSED), "two": Standing(state=CLOSED)}


@pytest.mark.parametrize(
    ("reports", "state"),
    [
        ([bad(4)], CLOSED),
        ([bad(5)], OPEN),
        ([bad(1)] * 5, OPEN),
        ([bad(2), GOOD, bad(1)], CLOSED),
        ([bad(2), GOOD, bad(2)], OPEN),
        ([bad(3), GOOD, GOOD], CLOSED),  # what goes well opens nothing
        ([bad(3), GOOD, GOOD, bad(1)], OPEN),
        ([bad(28, well=29)], CLOSED),
        ([bad(28, well=28)], OPEN),
        ([Verdict(well=100), bad(4), GOOD, bad(4), GOOD, bad(4)], CLOSED),
        ([Verdict(well=100), bad(4), GOOD, bad(4), GOOD, bad(5)], OPEN),
    ],
)
async def test_a_breaker_opens_on_a_share_of_failures_or_on_some_in_a_row(
    breakers: Breakers, reports: list[Verdict], state: BreakerState
) -> None:
    *before, last = [await breakers.report("one", report) for report in reports]
    assert {found.state for found in before} <= {CLOSED}
    assert (last.state, last.moved) == (state, state is OPEN)


async def test_what_is_long_ago_does_not_count(breakers: Breakers, store: Store) -> None:
    await breakers.report("one", bad(4))
    await let_pass(store, POLICY.window_ms / 1000)
    await breakers.report("one", Verdict(well=4, badly=3))
    assert (await standing(breakers)).state is CLOSED


async def test_failures_in_a_row_count_however_far_between_they_are(breakers: Breakers, store: Store) -> None:
    for number in range(1, POLICY.in_a_row + 1):
        await let_pass(store, 3600)
        found = await breakers.report("one", bad(1))
        assert (found.state is OPEN) is (number == POLICY.in_a_row)


async def test_one_providers_failures_are_not_anothers(breakers: Breakers, store: Store) -> None:
    await breakers.report("one", bad(5))
    found = await breakers.ask(["one", "two"])
    assert [found[name].state for name in ("one", "two")] == [OPEN, CLOSED]
    other = await Breakers(store, channel="sms").ask(["one"])
    assert other["one"].state is CLOSED


async def test_an_open_breaker_says_until_when_and_grants_nothing_before(breakers: Breakers) -> None:
    assert (await breakers.report("one", bad(5))).until_ms
    found = await breakers.ask(["one"])
    assert found["one"].state is OPEN
    assert 0 < found["one"].wait_ms <= POLICY.pause_ms
    assert found["one"].probe is None


async def test_reports_of_what_was_handed_over_before_it_opened_move_nothing(breakers: Breakers) -> None:
    first = await breakers.report("one", bad(5))
    for late in (bad(50), Verdict(well=50)):
        found = await breakers.report("one", late)
        assert (found.state, found.until_ms, found.moved) == (OPEN, first.until_ms, False)


async def test_after_the_pause_exactly_one_of_many_askers_probes(
    breakers: Breakers, store: Store, redis_server: RedisServer
) -> None:
    await opened(breakers, store)
    others = [Store(connect(redis_server.url)) for _ in range(4)]
    workers = [Breakers(other, channel="email") for other in others]
    found = await asyncio.gather(*(worker.ask(["one"]) for worker in workers * 25))
    assert [each["one"].state for each in found] == [HALF_OPEN] * 100
    assert len([each for each in found if each["one"].probe]) == 1
    assert all(0 < each["one"].wait_ms <= POLICY.look_ms for each in found)
    for other in others:
        await other.close()


async def test_whoever_only_looks_gets_no_probe(breakers: Breakers, store: Store) -> None:
    await opened(breakers, store)
    assert (await standing(breakers)).state is HALF_OPEN
    assert await granted(breakers)


async def test_one_who_asks_for_two_gets_one_probe(breakers: Breakers, store: Store) -> None:
    for name in ("one", "two"):
        assert (await breakers.report(name, bad(5))).state is OPEN
    await let_pass(store, PAUSE_S)
    found = await breakers.ask(["one", "two"])
    assert found["one"].probe
    assert found["two"].probe is None
    assert await granted(breakers, "two")


async def test_a_probe_that_does_well_closes_the_breaker(breakers: Breakers, store: Store) -> None:
    await opened(breakers, store)
    found = await breakers.report("one", GOOD, await granted(breakers))
    assert (found.state, found.until_ms, found.moved) == (CLOSED, 0, True)
    assert (await breakers.report("one", bad(4))).state is CLOSED  # what had been before is forgotten


async def test_each_probe_that_fails_doubles_the_pause_up_to_a_bound(breakers: Breakers, store: Store) -> None:
    await opened(breakers, store)
    pauses = [PAUSE_S]
    for _ in range(7):
        found = await breakers.report("one", bad(1), await granted(breakers))
        assert (found.state, found.moved) == (OPEN, True)
        pauses.append(round(await pause_s(breakers)))
        await let_pass(store, pauses[-1])
    assert all(after == min(2 * before, PAUSE_MAX_S) for before, after in pairwise(pauses))
    assert pauses[-1] == PAUSE_MAX_S


async def test_one_that_opens_again_soon_pauses_for_longer_and_one_that_was_well_does_not(
    breakers: Breakers, store: Store
) -> None:
    await opened(breakers, store)
    await breakers.report("one", GOOD, await granted(breakers))
    await breakers.report("one", bad(5))
    assert round(await pause_s(breakers)) == 2 * PAUSE_S
    await let_pass(store, 2 * PAUSE_S)
    await breakers.report("one", GOOD, await granted(breakers))
    await let_pass(store, PAUSE_MAX_S)
    await breakers.report("one", bad(5))
    assert round(await pause_s(breakers)) == PAUSE_S


async def test_a_probe_that_told_nothing_leaves_the_next_one_to_probe(breakers: Breakers, store: Store) -> None:
    await opened(breakers, store)
    found = await breakers.report("one", Verdict(), await granted(breakers))
    assert (found.state, found.moved) == (HALF_OPEN, False)
    assert await granted(breakers)


async def test_a_dead_prober_blocks_nobody_for_longer_than_its_lease(breakers: Breakers, store: Store) -> None:
    await opened(breakers, store)
    dead = await granted(breakers)
    await let_pass(store, PROBE_S / 2)
    assert (await breakers.ask(["one"]))["one"].probe is None
    await let_pass(store, PROBE_S / 2)
    heir = await granted(breakers)
    assert heir != dead
    assert not (await breakers.report("one", bad(1), dead)).moved  # the heir will tell
    assert (await breakers.report("one", bad(1), heir)).state is OPEN


async def test_a_probe_that_was_slow_and_did_well_counts(breakers: Breakers, store: Store) -> None:
    await opened(breakers, store)
    slow = await granted(breakers)
    await let_pass(store, PROBE_S)
    await granted(breakers)
    assert (await breakers.report("one", GOOD, slow)).state is CLOSED


async def test_a_probe_of_an_earlier_opening_counts_for_nothing(breakers: Breakers, store: Store) -> None:
    await opened(breakers, store)
    slow = await granted(breakers)
    await let_pass(store, PROBE_S)
    assert (await breakers.report("one", bad(1), await granted(breakers))).state is OPEN
    assert (await breakers.report("one", GOOD, slow)).state is OPEN


async def test_what_was_not_told_yet_is_told_with_the_next_question(breakers: Breakers) -> None:
    found = await breakers.ask(["one", "two"], {"one": bad(5)})
    assert (found["one"].state, found["one"].moved) == (OPEN, True)
    assert found["two"].state is CLOSED


async def test_health_is_the_share_done_well_and_forgets(breakers: Breakers, store: Store) -> None:
    assert (await standing(breakers)).health == 1.0
    await breakers.report("one", Verdict(well=1000))
    assert (await standing(breakers)).health == 1.0
    half = (await breakers.report("one", Verdict(badly=1000))).health
    assert half == pytest.approx(0.5, abs=0.01)
    later = []
    for _ in range(20):
        await let_pass(store, POLICY.half_life_ms / 1000)
        later.append((await standing(breakers)).health)
    assert later == sorted(later)
    assert half <= later[0]
    assert later[-1] == pytest.approx(1.0, abs=0.01)


async def test_a_question_on_the_good_path_writes_nothing(breakers: Breakers, store: Store) -> None:
    await breakers.ask(["one", "two"])
    assert await store.command("KEYS", key(CONTROL, "breaker") + "*") == []


async def test_a_breaker_nobody_reports_to_is_forgotten_after_a_day(breakers: Breakers, store: Store) -> None:
    await breakers.report("one", bad(1))
    left_ms = await store.command("PTTL", key(CONTROL, "breaker", "email/one"))
    assert LIMITS["BREAKER_TTL_MS"] - 60_000 < left_ms <= LIMITS["BREAKER_TTL_MS"]
