"""Which provider gets a message, and which one next."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion_core.domain.breaker import BreakerState, Standing
from clarion_core.domain.channel import Provider, Routing
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_core.domain.routing import fails_over, pick, postponed

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
NAMES = ("one", "two", "three")


def providers(*weights: int) -> list[Provider]:
    return [Provider(name=name, weight=weight) for name, weight in zip(NAMES, weights, strict=False)]


def standings(*states: BreakerState) -> dict[str, Standing]:
    return {name: Standing(state=state) for name, state in zip(NAMES, states, strict=False)}


@pytest.mark.parametrize("routing", Routing)
@pytest.mark.parametrize(
    ("states", "used"),
    [
        ((CLOSED, CLOSED, CLOSED), {"one", "two", "three"}),
        ((OPEN, CLOSED, CLOSED), {"two", "three"}),
        ((HALF_OPEN, OPEN, CLOSED), {"three"}),
        ((OPEN, HALF_OPEN, OPEN), set()),
    ],
)
def test_only_a_provider_that_works_is_used(routing: Routing, states: tuple[BreakerState, ...], used: set[str]) -> None:
    picked = [pick(routing, providers(1, 1, 1), standings(*states), drawn / 10) for drawn in range(10)]
    names = [provider.name for provider in picked if provider]
    if routing is Routing.WEIGHT:
        assert set(names) == used
    else:
        assert set(names) == set(sorted(used, key=NAMES.index)[:1])
    assert len(names) == (10 if used else 0)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=3), st.integers(1, 400))
def test_by_weight_each_gets_its_share_of_an_even_draw(weights: list[int], draws: int) -> None:
    counted = Counter(
        picked.name
        for number in range(draws)
        if (picked := pick(Routing.WEIGHT, providers(*weights), standings(*[CLOSED] * 3), number / draws))
    )
    for name, weight in zip(NAMES, weights, strict=False):
        assert abs(counted[name] - draws * weight / sum(weights)) <= 1 + 1e-6


def test_by_weight_one_that_fails_more_often_gets_less() -> None:
    found = {"one": Standing(state=CLOSED, health=0.5), "two": Standing(state=CLOSED)}
    picked = [pick(Routing.WEIGHT, providers(1, 1), found, number / 300) for number in range(300)]
    assert Counter(provider.name for provider in picked if provider) == {"one": 100, "two": 200}


@given(st.lists(st.floats(1e-6, 1), min_size=2, max_size=2), st.floats(0, 1, exclude_max=True))
def test_any_draw_picks_somebody(health: list[float], drawn: float) -> None:
    found = {name: Standing(state=CLOSED, health=each) for name, each in zip(NAMES, health, strict=False)}
    assert pick(Routing.WEIGHT, providers(1000, 1), found, drawn)


OVER: dict[Outcome, bool] = {
    Sent(): False,
    TransientFailure(reason=Reason.PROVIDER_UNREACHABLE): True,
    TransientFailure(reason=Reason.PROVIDER_DEFERRED): True,
    TransientFailure(reason=Reason.PROVIDER_CREDENTIALS): True,
    PermanentFailure(reason=Reason.PROVIDER_UNSUPPORTED): True,
    TransientFailure(reason=Reason.RECIPIENT_DEFERRED): False,
    PermanentFailure(reason=Reason.RECIPIENT_REFUSED): False,
    PermanentFailure(reason=Reason.MESSAGE_REFUSED): False,
    PermanentFailure(reason=Reason.INTERNAL): False,
    Ambiguous(): False,
}


@pytest.mark.parametrize("outcome", OVER)
def test_another_provider_gets_what_one_certainly_has_not_got_by_its_own_fault(outcome: Outcome) -> None:
    assert fails_over(outcome) is OVER[outcome]


@pytest.mark.parametrize("outcome", OVER)
def test_what_one_provider_cannot_do_waits_for_the_other_and_nothing_else_changes(outcome: Outcome) -> None:
    after = postponed(outcome, 7.0)
    if outcome == PermanentFailure(reason=Reason.PROVIDER_UNSUPPORTED):
        assert after == TransientFailure(reason=Reason.PROVIDER_UNSUPPORTED, retry_after_s=7.0)
    else:
        assert after is outcome
