from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from clarion.v1.delivery_pb2 import Delivery
from clarion_client.cli.bulk import Tally
from clarion_stack.accounting import Account

SENT = Delivery.STATE_SENT


def deliveries(*states: Delivery.State.ValueType) -> list[Delivery]:
    return [
        Delivery(
            state=state,
            message_id=f"<00j4k-{at}@clarion.invalid>",
            create_time=Timestamp(seconds=1_000),
            update_time=Timestamp(seconds=1_000, nanos=(at + 1) * 1_000_000),
        )
        for at, state in enumerate(states)
    ]


def account(accepted: int, records: list[Delivery], caught: Iterable[str]) -> Account:
    return Account(tally=Tally(accepted=accepted), deliveries=records, caught=Counter(caught))


def test_it_closes_where_answers_records_and_mailbox_agree() -> None:
    records = deliveries(SENT, SENT, Delivery.STATE_FAILED)
    found = account(3, records, ["00j4k-0", "00j4k-1", "a-stranger", "a-stranger"])
    assert found.closes
    assert found.states == {"SENT": 2, "FAILED": 1}


@pytest.mark.parametrize(
    ("accepted", "states", "caught", "gap"),
    [
        (2, [SENT], ["00j4k-0"], "1 accepted messages have no delivery"),
        (1, [Delivery.STATE_RETRYING], [], "1 deliveries are still in flight"),
        (1, [SENT], [], "1 sent messages are not in the mailbox"),
        (1, [Delivery.STATE_FAILED], ["00j4k-0"], "1 messages are in the mailbox but not recorded as sent"),
        (1, [SENT], ["00j4k-0", "00j4k-0"], "1 messages are in the mailbox more than once"),
    ],
)
def test_every_disagreement_is_a_gap(
    accepted: int, states: list[Delivery.State.ValueType], caught: list[str], gap: str
) -> None:
    found = account(accepted, deliveries(*states), caught)
    assert found.gaps == [gap]
    assert not found.closes


def test_latency_is_that_of_sent_deliveries_by_nearest_rank() -> None:
    found = account(100, deliveries(*[SENT] * 100, Delivery.STATE_FAILED), [])
    assert found.latency_ms(0.5) == 50
    assert found.latency_ms(0.99) == 99
    assert account(0, [], []).latency_ms(0.5) is None
