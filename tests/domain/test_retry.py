"""What follows from an outcome."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion_core.domain.campaign import MIN_BACKOFF_S, AmbiguityPolicy, RetryPolicy
from clarion_core.domain.delivery import TRANSITIONS, DeliveryState, Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_core.domain.retry import DETAIL_MAX, Conclusion, backoff_s, clip, conclude

AT_LEAST, AT_MOST = AmbiguityPolicy.AT_LEAST_ONCE, AmbiguityPolicy.AT_MOST_ONCE
POLICY = RetryPolicy(max_attempts=3, initial_backoff_s=10, max_backoff_s=60)
NOW_MS = 1_795_507_200_000
TRANSIENT = TransientFailure(reason=Reason.PROVIDER_DEFERRED, detail="451 later")
PERMANENT = PermanentFailure(reason=Reason.RECIPIENT_REFUSED, detail="550 nobody")
SENDING = DeliveryState.SENDING


def concluded(
    outcome: Outcome,
    attempts: int = 1,
    ambiguity: AmbiguityPolicy = AT_LEAST,
    drawn: float = 0.5,
    *,
    policy: RetryPolicy = POLICY,
    age_from_ms: int = NOW_MS,
) -> Conclusion:
    return conclude(
        outcome,
        attempts=attempts,
        policy=policy,
        ambiguity=ambiguity,
        now_ms=NOW_MS,
        age_from_ms=age_from_ms,
        draw=lambda: drawn,
    )


S, F, R, A = DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.RETRYING, DeliveryState.AMBIGUOUS
TABLE = {
    # outcome: (state, reason) after attempts 1, 2 and 3 of 3, AT_LEAST_ONCE and AT_MOST_ONCE
    Sent(detail="250 ok"): {AT_LEAST: (S, S, S), AT_MOST: (S, S, S)},
    PERMANENT: {AT_LEAST: (F, F, F), AT_MOST: (F, F, F)},
    TRANSIENT: {AT_LEAST: (R, R, F), AT_MOST: (R, R, F)},
    Ambiguous(detail="cut off"): {AT_LEAST: (R, R, A), AT_MOST: (A, A, A)},
}
REASONS = {Sent: Reason.NONE, Ambiguous: Reason.HANDOVER_UNKNOWN}


@pytest.mark.parametrize(("outcome", "ambiguity", "attempts"), list(product(TABLE, AmbiguityPolicy, (1, 2, 3))))
def test_an_outcome_has_one_conclusion(outcome: Outcome, ambiguity: AmbiguityPolicy, attempts: int) -> None:
    end = concluded(outcome, attempts, ambiguity)
    assert end.state is TABLE[outcome][ambiguity][attempts - 1]
    assert end.state in TRANSITIONS[SENDING]
    assert end.reason is (getattr(outcome, "reason", None) or REASONS[type(outcome)])
    assert end.detail == outcome.detail
    assert end.ambiguous is isinstance(outcome, Ambiguous)
    assert (end.due_ms > NOW_MS) is (end.state is R)


@pytest.mark.parametrize("attempts", [3, 4, 100])
def test_more_attempts_than_allowed_end_like_the_last_one(attempts: int) -> None:
    assert concluded(TRANSIENT, attempts).state is F
    assert concluded(Ambiguous(), attempts).state is A


@pytest.mark.parametrize(("too_old_s", "after"), [(0, R), (1, F)])
def test_no_attempt_is_begun_after_the_maximum_age(too_old_s: int, after: DeliveryState) -> None:
    policy = replace(POLICY, max_age_s=3600)
    age_from_ms = NOW_MS + 5_000 - 1000 * (policy.max_age_s + too_old_s)  # the next attempt is due in 5 s
    assert concluded(TRANSIENT, policy=policy, age_from_ms=age_from_ms).state is after
    assert concluded(Ambiguous(), policy=policy, age_from_ms=age_from_ms).state is (R if after is R else A)


@pytest.mark.parametrize("attempts", [1, 3])
def test_what_came_too_late_for_hand_over_is_expired_whatever_its_attempts(attempts: int) -> None:
    end = concluded(TransientFailure(reason=Reason.EXPIRED), attempts)
    assert (end.state, end.reason) == (DeliveryState.EXPIRED, Reason.EXPIRED)


def test_the_provider_may_ask_for_a_longer_pause_but_not_for_a_shorter_one() -> None:
    patient = TransientFailure(reason=Reason.PROVIDER_DEFERRED, retry_after_s=500.0)
    hasty = TransientFailure(reason=Reason.PROVIDER_DEFERRED, retry_after_s=0.1)
    assert concluded(patient).due_ms == NOW_MS + 500_000
    assert concluded(hasty, drawn=0.5).due_ms == NOW_MS + 5_000


def test_jitter_draws_from_the_whole_interval_under_a_doubling_bound() -> None:
    assert [backoff_s(attempt, POLICY, 0.999) for attempt in (1, 2, 3, 4, 50)] == [9.99, 19.98, 39.96, 59.94, 59.94]
    assert backoff_s(1, POLICY, 0.0) == MIN_BACKOFF_S


policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 100),
    initial_backoff_s=st.integers(1, 86_400),
    max_backoff_s=st.integers(1, 86_400),
)


@given(policies, st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_never_shorter_than_a_second_nor_longer_than_the_policy(
    policy: RetryPolicy, attempts: int, drawn: float
) -> None:
    assert MIN_BACKOFF_S <= backoff_s(attempts, policy, drawn) <= max(MIN_BACKOFF_S, policy.max_backoff_s)


@given(policies, st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_the_bound_never_shrinks_from_attempt_to_attempt(policy: RetryPolicy, attempts: int, drawn: float) -> None:
    assert backoff_s(attempts, policy, drawn) <= backoff_s(attempts + 1, policy, drawn)


@given(st.text(max_size=3 * DETAIL_MAX))
def test_what_a_provider_says_becomes_one_short_printable_line(said: str) -> None:
    assert len(clip(said)) == min(len(said), DETAIL_MAX)
    assert clip(said).isprintable()
    assert clip(clip(said)) == clip(said)


SCHEDULED = RetryPolicy(max_attempts=4, schedule_s=(5, 300, 1800))


@pytest.mark.parametrize(("attempts", "pause_s"), [(1, 5), (2, 300), (3, 1800), (4, 1800), (100, 1800)])
def test_a_schedule_is_kept_within_a_tenth(attempts: int, pause_s: int) -> None:
    drawn = [backoff_s(attempts, SCHEDULED, share) for share in (0.0, 0.5, 0.999_999)]
    assert drawn == pytest.approx([0.9 * pause_s, pause_s, 1.1 * pause_s])


@given(st.lists(st.integers(1, 604_800), min_size=1).map(tuple), st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_no_pause_of_a_schedule_is_shorter_than_a_due_time_can_be(
    schedule: tuple[int, ...], attempts: int, drawn: float
) -> None:
    assert backoff_s(attempts, RetryPolicy(schedule_s=schedule), drawn) >= MIN_BACKOFF_S


def test_a_schedule_ends_with_the_attempts_and_the_age() -> None:
    assert [concluded(TRANSIENT, attempts, policy=SCHEDULED).state for attempts in range(1, 5)] == [R, R, R, F]
    old = replace(SCHEDULED, max_age_s=600)
    assert [concluded(TRANSIENT, attempts, policy=old).state for attempts in (2, 3)] == [R, F]


def test_whoever_asks_for_more_time_than_the_schedule_gets_it() -> None:
    asked = TransientFailure(reason=Reason.RECIPIENT_DEFERRED, retry_after_s=60)
    assert concluded(asked, 1, policy=SCHEDULED).due_ms == NOW_MS + 60_000
    assert concluded(asked, 2, policy=SCHEDULED).due_ms == NOW_MS + 300_000


def test_a_channels_schedule_bounds_a_campaigns_policy() -> None:
    assert RetryPolicy().within(SCHEDULED).schedule_s == (5, 300, 1800)
    assert RetryPolicy().within(SCHEDULED).max_attempts == 4
    assert RetryPolicy(max_attempts=2).within(SCHEDULED).max_attempts == 2
    assert SCHEDULED.within(RetryPolicy()).schedule_s == (5, 300, 1800)
