"""Accounts, placements, and the recipients that are named twice."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion_core.domain.trigger import (
    Counts,
    Placement,
    Slice,
    TriggerState,
    duplicate_user_ids,
)

ENDS = [field.name for field in fields(Counts) if field.name not in ("accepted", "in_flight")]
counts = st.builds(Counts, **{field.name: st.integers(0, 1000) for field in fields(Counts)})


@given(st.lists(st.integers(0, 1000), min_size=len(ENDS) + 1, max_size=len(ENDS) + 1))
def test_an_account_balances_where_everyone_is_accounted_for_or_in_flight(numbers: list[int]) -> None:
    account = Counts(accepted=sum(numbers), in_flight=numbers[-1], **dict(zip(ENDS, numbers, strict=False)))
    assert account.balance == 0


@pytest.mark.parametrize("name", ["in_flight", *ENDS])
def test_one_recipient_counted_twice_or_not_at_all_breaks_the_balance(name: str) -> None:
    assert Counts(accepted=1).balance == 1
    assert Counts(accepted=1, **{name: 1}).balance == 0
    assert Counts(accepted=1, **{name: 2}).balance == -1


@given(counts, counts)
def test_sums_of_accounts_balance_as_their_parts_do(one: Counts, other: Counts) -> None:
    assert (one + other).balance == one.balance + other.balance
    assert one + Counts() == one


@given(st.text("0123456789abcdef", min_size=1), st.integers(0, 10**6), st.integers(1, 1000))
def test_a_placement_is_read_as_it_was_written(base: str, start: int, count: int) -> None:
    placement = Placement((Slice(base=base, start=start, count=count),))
    assert Placement.parse(str(placement)) == placement


def test_only_completed_and_cancelled_are_final() -> None:
    assert [state.name for state in TriggerState if state.is_final] == ["COMPLETED", "CANCELLED"]


def test_a_user_id_named_again_is_told_where_it_stood_first() -> None:
    assert duplicate_user_ids(["a", "b", "a", "c", "b", "a"]) == {2: 0, 4: 1, 5: 0}
    assert duplicate_user_ids(["a", "A", ""]) == {}
