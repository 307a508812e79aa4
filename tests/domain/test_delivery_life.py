"""The one table of a delivery's moves."""

from __future__ import annotations

import pytest

from clarion_core.domain.delivery import CORRECTIONS, FINAL_STATES, TRANSITIONS, WAITING_STATES, DeliveryState
from clarion_core.domain.delivery import DeliveryState as State

START = State.QUEUED


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(DeliveryState)


DEAD_LETTERS = {State.FAILED, State.AMBIGUOUS}


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_a_final_state_has_no_way_out_but_a_redrive_of_what_ended_badly(state: DeliveryState) -> None:
    assert state.is_final
    assert TRANSITIONS[state] == ({State.QUEUED} if state in DEAD_LETTERS else set())


@pytest.mark.parametrize("state", [state for state in DeliveryState if not state.is_final])
def test_a_delivery_that_is_not_final_can_end(state: DeliveryState) -> None:
    assert TRANSITIONS[state] & FINAL_STATES


def test_every_state_can_be_reached() -> None:
    reached, frontier = {START}, [START]
    while frontier:
        new = TRANSITIONS[frontier.pop()] - reached
        reached |= new
        frontier += new
    assert reached == set(DeliveryState)


@pytest.mark.parametrize("state", [State.SENT, State.AMBIGUOUS, State.RETRYING])
def test_only_a_delivery_in_an_open_window_can_have_left(state: DeliveryState) -> None:
    assert [before for before, after in TRANSITIONS.items() if state in after] == [State.SENDING]


def test_a_waiting_delivery_is_sent_through_a_window_or_ends_unsent() -> None:
    for state in WAITING_STATES:
        assert TRANSITIONS[state] == {
            State.SENDING,
            State.FAILED,
            State.SUPPRESSED,
            State.EXPIRED,
            State.CANCELLED,
        }


def test_only_what_was_called_ambiguous_is_put_right_and_only_by_a_definite_outcome() -> None:
    assert {
        State.AMBIGUOUS: {State.SENT, State.FAILED},
        State.QUEUED: {State.SENT, State.FAILED},
    } == CORRECTIONS
