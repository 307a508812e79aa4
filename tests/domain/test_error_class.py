"""What an error is about, and whether to try again: two facts."""

from __future__ import annotations

import pytest

from clarion_core.domain.delivery import Reason
from clarion_core.domain.error_class import ERROR_CLASSES, RETRYABLE, ErrorClass


def test_every_reason_has_its_class() -> None:
    assert set(ERROR_CLASSES) == set(Reason)
    assert set(ERROR_CLASSES.values()) == {None, *ErrorClass}


@pytest.mark.parametrize("reason", [reason for reason in Reason if "_" in reason.value])
def test_a_reason_that_names_whom_it_is_about_has_that_class(reason: Reason) -> None:
    named = {"RECIPIENT": ErrorClass.RECIPIENT, "PROVIDER": ErrorClass.PROVIDER, "MESSAGE": ErrorClass.CONTENT}
    first = reason.value.partition("_")[0]
    assert (ERROR_CLASSES[reason] is named[first]) if first in named else (first not in ErrorClass.__members__)


def test_whether_to_try_again_is_not_told_by_the_class() -> None:
    for error_class in (ErrorClass.RECIPIENT, ErrorClass.PROVIDER):
        assert {reason in RETRYABLE for reason, each in ERROR_CLASSES.items() if each is error_class} == {True, False}
