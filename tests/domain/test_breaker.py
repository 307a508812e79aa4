"""What speaks for and against a provider."""

from __future__ import annotations

import pytest

from clarion_core.domain.breaker import BADLY, NOTHING, TRANSITIONS, WELL, BreakerState, Verdict, verdict
from clarion_core.domain.delivery import Reason
from clarion_core.domain.error_class import ERROR_CLASSES, ErrorClass
from clarion_core.domain.outcome import Ambiguous, PermanentFailure, Sent, TransientFailure

FAILURES = (TransientFailure, PermanentFailure)


def test_every_state_of_a_breaker_has_its_row_and_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS) == set(BreakerState)
    assert set().union(*TRANSITIONS.values()) == set(BreakerState)
    assert all(TRANSITIONS.values())


def test_a_closed_breaker_is_reached_through_a_probe_alone() -> None:
    assert [before for before, after in TRANSITIONS.items() if BreakerState.CLOSED in after] == [BreakerState.HALF_OPEN]


@pytest.mark.parametrize("reason", [reason for reason in Reason if ERROR_CLASSES[reason]])
@pytest.mark.parametrize("failure", FAILURES)
def test_only_a_providers_own_errors_count_against_it(failure: type, reason: Reason) -> None:
    said = verdict(failure(reason=reason))
    counted = ERROR_CLASSES[reason] is ErrorClass.PROVIDER and reason is not Reason.PROVIDER_UNSUPPORTED
    assert (said == BADLY) is counted
    assert (said == WELL) is (ERROR_CLASSES[reason] in (ErrorClass.RECIPIENT, ErrorClass.CONTENT))


@pytest.mark.parametrize("failure", FAILURES)
def test_what_one_message_asks_too_much_of_a_provider_says_nothing_of_it(failure: type) -> None:
    assert verdict(failure(reason=Reason.PROVIDER_UNSUPPORTED)) == NOTHING
    assert verdict(failure(reason=Reason.INTERNAL)) == NOTHING


def test_a_hand_over_left_without_an_answer_counts_against_the_provider() -> None:
    assert verdict(Ambiguous(detail="no reply within 60 s (DOT)")) == BADLY


def test_the_silence_of_a_recipients_own_server_says_nothing_of_the_provider() -> None:
    assert verdict(Ambiguous(silent=ErrorClass.RECIPIENT)) == NOTHING


def test_verdicts_add_up() -> None:
    assert sum(map(verdict, [Sent(), Sent(), Ambiguous()]), NOTHING) == Verdict(well=2, badly=1)
