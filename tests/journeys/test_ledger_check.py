"""The reckoning of the journeys turns red where it should: each test plants one defect in evidence that is in order."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict

from clarion.v1.campaign_pb2 import Campaign
from clarion.v1.delivery_pb2 import Delivery
from clarion.v1.trigger_pb2 import DeliveryCounts, Trigger
from support.ledger_check import Report, check, check_logs
from support.raw_logs import ACKNOWLEDGED, LEDGER, SINK, Acknowledged, Ledger, Taken, write_acknowledged, write_line

TRIGGER = "campaigns/journey/triggers/00000000000000000001"
_STATES = {
    "in_flight": Delivery.STATE_RETRYING,
    "failed": Delivery.STATE_FAILED,
    "ambiguous": Delivery.STATE_AMBIGUOUS,
}


class Evidence:
    """Ana, Bo and Cy were acknowledged, each got one message, and the accounts say so."""

    def __init__(self) -> None:
        users = ("ana", "bo", "cy")
        self.owed = {user: f"{user}@example.com" for user in users}
        self.taken = [Taken(f"{user}@clarion.invalid", (f"{user}@example.com",)) for user in users]
        self.ana, self.bo, self.cy = (
            Delivery(user_id=user, state=Delivery.STATE_SENT, message_id=f"<{user}@clarion.invalid>") for user in users
        )
        self.deliveries = [self.ana, self.bo, self.cy]
        self.trigger = Trigger(name=TRIGGER, campaign="campaigns/journey", counts=DeliveryCounts(accepted=3, sent=3))
        self.campaign = Campaign(name="campaigns/journey", counts=Campaign.Counts(accepted=3, sent=3))

    def put(self, delivery: Delivery, state: str) -> None:
        """Let one delivery stand otherwise, in all accounts."""
        delivery.state = _STATES[state]
        for counts in (self.trigger.counts, self.campaign.counts):
            counts.sent -= 1
            setattr(counts, state, 1)

    def report(self) -> Report:
        ledger = Ledger({TRIGGER: self.trigger}, {TRIGGER: self.deliveries}, [self.campaign])
        return check([Acknowledged(TRIGGER, self.owed)], self.taken, ledger)

    def write(self, directory: Path) -> None:
        """The same as raw logs."""
        with (directory / ACKNOWLEDGED).open("w") as log:
            write_acknowledged(log, Acknowledged(TRIGGER, self.owed))
        with (directory / SINK).open("w") as log:
            for message in self.taken:
                write_line(log, {"message_id": message.message_id, "rcpt_to": message.recipients, "time": 1.0})
        with (directory / LEDGER).open("w") as log:
            write_line(log, {"trigger": MessageToDict(self.trigger)})
            for delivery in self.deliveries:
                write_line(log, {"of": TRIGGER, "delivery": MessageToDict(delivery)})
            write_line(log, {"campaign": MessageToDict(self.campaign)})


@pytest.fixture
def evidence() -> Evidence:
    return Evidence()


def findings(report: Report) -> list[str]:
    assert not report.closes
    return [kind for kind in ("lost", "doubled", "stray", "unbalanced") if getattr(report, kind)]


def test_evidence_in_order_closes(evidence: Evidence) -> None:
    report = evidence.report()
    assert report.closes, report
    assert report.states == {"sent": 3}


def test_a_sent_delivery_that_never_arrived_is_lost(evidence: Evidence) -> None:
    del evidence.taken[1]
    assert findings(evidence.report()) == ["lost"]


def test_a_recipient_without_a_delivery_is_lost(evidence: Evidence) -> None:
    evidence.owed["dee"] = "dee@example.com"
    assert findings(evidence.report()) == ["lost"]


def test_a_delivery_that_has_not_ended_is_lost(evidence: Evidence) -> None:
    evidence.put(evidence.cy, "in_flight")
    del evidence.taken[2]
    assert findings(evidence.report()) == ["lost"]


def test_a_second_message_that_nobody_announced_is_a_double(evidence: Evidence) -> None:
    evidence.taken.append(evidence.taken[0])
    assert findings(evidence.report()) == ["doubled"]


def test_a_second_message_behind_an_ambiguous_attempt_is_none(evidence: Evidence) -> None:
    evidence.taken.append(evidence.taken[0])
    evidence.ana.ambiguous_attempts = 1
    report = evidence.report()
    assert report.closes, report
    assert (report.ambiguous, report.repeated) == (1, 1)
    evidence.taken.append(evidence.taken[0])
    assert findings(evidence.report()) == ["doubled"]


@pytest.mark.parametrize("arrived", [True, False])
def test_an_ambiguous_end_may_have_arrived_or_not(evidence: Evidence, arrived: bool) -> None:
    evidence.put(evidence.ana, "ambiguous")
    evidence.ana.ambiguous_attempts = 1
    evidence.taken = evidence.taken[not arrived :]
    assert evidence.report().closes


def test_a_failed_delivery_that_arrived_is_a_double(evidence: Evidence) -> None:
    evidence.put(evidence.bo, "failed")
    assert findings(evidence.report()) == ["doubled"]


def test_a_message_to_somebody_else_is_stray(evidence: Evidence) -> None:
    evidence.taken[0] = Taken("ana@clarion.invalid", ("bo@example.com",))
    assert findings(evidence.report()) == ["stray"]


def test_a_message_of_no_delivery_is_stray(evidence: Evidence) -> None:
    evidence.taken.append(Taken("dee@clarion.invalid", ("dee@example.com",)))
    assert findings(evidence.report()) == ["stray"]


def test_a_trigger_that_does_not_add_up_is_unbalanced(evidence: Evidence) -> None:
    evidence.trigger.counts.in_flight = 1
    assert "does not add up" in evidence.report().unbalanced[0]


def test_a_trigger_that_its_deliveries_contradict_is_unbalanced(evidence: Evidence) -> None:
    for counts in (evidence.trigger.counts, evidence.campaign.counts):
        counts.sent, counts.failed = 2, 1
    assert findings(evidence.report()) == ["unbalanced"]


def test_a_campaign_that_its_triggers_contradict_is_unbalanced(evidence: Evidence) -> None:
    evidence.campaign.counts.accepted = evidence.campaign.counts.sent = 4
    assert findings(evidence.report()) == ["unbalanced"]


def test_a_second_message_under_at_most_once_is_a_double_however_it_is_flagged(evidence: Evidence) -> None:
    evidence.campaign.ambiguity_policy = Campaign.AMBIGUITY_POLICY_AT_MOST_ONCE
    evidence.put(evidence.ana, "ambiguous")
    evidence.ana.ambiguous_attempts = 2
    assert evidence.report().closes
    evidence.taken.append(evidence.taken[0])
    assert findings(evidence.report()) == ["doubled"]


def test_raw_logs_say_what_was_written_into_them(evidence: Evidence, tmp_path: Path) -> None:
    evidence.write(tmp_path)
    report = check_logs(tmp_path)
    assert report.closes, report
    assert report.states == {"sent": 3}


def test_a_line_missing_in_the_sinks_log_is_a_loss(evidence: Evidence, tmp_path: Path) -> None:
    evidence.write(tmp_path)
    _, *rest = (tmp_path / SINK).read_text().splitlines(keepends=True)
    (tmp_path / SINK).write_text("".join(rest))
    report = check_logs(tmp_path)
    assert findings(report) == ["lost"]
    assert "1 lost" in repr(report)


def test_a_line_twice_in_the_sinks_log_is_a_double(evidence: Evidence, tmp_path: Path) -> None:
    evidence.write(tmp_path)
    first, *_ = (tmp_path / SINK).read_text().splitlines(keepends=True)
    with (tmp_path / SINK).open("a") as log:
        log.write(first)
    assert findings(check_logs(tmp_path)) == ["doubled"]


def test_a_line_that_is_not_whole_is_none(evidence: Evidence, tmp_path: Path) -> None:
    evidence.write(tmp_path)
    with (tmp_path / SINK).open("a") as log:
        log.write('{"message_id": "ana@clari')
    assert check_logs(tmp_path).closes


def test_a_trigger_that_the_service_does_not_know_any_more_is_lost(evidence: Evidence, tmp_path: Path) -> None:
    evidence.write(tmp_path)
    (tmp_path / LEDGER).write_text("")
    assert findings(check_logs(tmp_path)) == ["lost", "stray"]


def test_a_call_that_no_log_knows_leaves_its_messages_stray(evidence: Evidence, tmp_path: Path) -> None:
    evidence.write(tmp_path)
    (tmp_path / ACKNOWLEDGED).write_text("")
    assert findings(check_logs(tmp_path)) == ["stray"]
