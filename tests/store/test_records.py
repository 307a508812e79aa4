"""How the ledger's records are read."""

from __future__ import annotations

from clarion_core.domain.delivery import DeliveryRecord, DeliveryState, Reason
from clarion_core.store.records import parse_ledger


def test_a_record_is_read_field_by_field() -> None:
    assert parse_ledger("R|2|1|1000|2000|b-7|500|smtp|PROVIDER_DEFERRED|451 4.7.0 later | perhaps") == DeliveryRecord(
        state=DeliveryState.RETRYING,
        attempts=2,
        ambiguous_attempts=1,
        time_ms=1000,
        due_ms=2000,
        since_ms=500,
        provider="smtp",
        reason=Reason.PROVIDER_DEFERRED,
        detail="451 4.7.0 later | perhaps",
    )


def test_a_delivery_that_nothing_has_happened_to_is_read_like_any_other() -> None:
    assert parse_ledger("Q|||||||||") == parse_ledger("Q|0|0|0|0||0|||") == DeliveryRecord()
    assert parse_ledger("Q|||||b-7||||") == DeliveryRecord()
