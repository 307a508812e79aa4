"""What SES tells: each kind of its events and notifications, and anything else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion_core.domain.bounce import BounceCategory
from clarion_core.domain.feedback import Fact, FactKind
from clarion_edge.receipt import Malformed
from clarion_edge.ses import receipts
from support import ses_events

ONE = "00" + "1" * 19 + "-7"


def fact_of(message: str) -> Fact:
    [receipt] = receipts(message, provider="ses")
    assert receipt.delivery_id == ONE
    return receipt.fact


@pytest.mark.parametrize("notification", [False, True])
def test_the_delivery_is_named_by_the_tag_or_by_the_message_id(notification: bool) -> None:
    fact = fact_of(ses_events.delivered(ONE, notification=notification))
    assert (fact.kind, fact.time_ms, fact.detail) == (
        FactKind.DELIVERED,
        1_737_367_202_000,
        "250 2.6.0 Message received",
    )


def test_what_becomes_of_a_copy_is_no_fact_of_the_delivery() -> None:
    told = json.loads(ses_events.bounce(ONE, notification=True))
    told["mail"]["tags"] = {"clarion-campaign": ["welcome"]}
    assert receipts(json.dumps(told), provider="ses") == []


@pytest.mark.parametrize(
    ("kind", "subtype", "status", "category"),
    [
        ("Permanent", "General", "5.1.1", BounceCategory.INVALID_RECIPIENT),
        ("Permanent", "General", "5.2.1", BounceCategory.RECIPIENT_REFUSED),
        ("Permanent", "General", "5.7.1", BounceCategory.INVALID_RECIPIENT),
        ("Permanent", "OnAccountSuppressionList", "", BounceCategory.RECIPIENT_REFUSED),
        ("Permanent", "SomethingNew", "", BounceCategory.INVALID_RECIPIENT),
        ("Transient", "General", "", BounceCategory.SOFT),
        ("Transient", "General", "4.4.3", BounceCategory.DNS_FAILURE),
        ("Transient", "General", "5.1.1", BounceCategory.SOFT),
        ("Transient", "MailboxFull", "5.2.2", BounceCategory.MAILBOX_FULL),
        ("Transient", "MessageTooLarge", "5.3.4", BounceCategory.TOO_LARGE),
        ("Transient", "ContentRejected", "5.7.1", BounceCategory.SPAM_CONTENT),
        ("Undetermined", "Undetermined", "5.1.1", BounceCategory.UNDETERMINED),
        ("", "", "", BounceCategory.UNDETERMINED),
    ],
)
def test_a_bounce_is_what_ses_takes_it_for(kind: str, subtype: str, status: str, category: BounceCategory) -> None:
    fact = fact_of(ses_events.bounce(ONE, kind, subtype, status))
    assert (fact.kind, fact.category, fact.code) == (FactKind.BOUNCED, category, f"{kind}/{subtype}")


def test_a_complaint_has_the_time_it_was_made() -> None:
    fact = fact_of(ses_events.complaint(ONE))
    assert (fact.kind, fact.code, fact.time_ms) == (FactKind.COMPLAINED, "abuse", 1_737_370_800_000)
    assert receipts(ses_events.complaint(ONE, "not-spam"), provider="ses") == []


def test_a_delay_is_a_deferral() -> None:
    part = {
        "timestamp": "2025-01-20T10:30:00.000Z",
        "delayType": "MailboxFull",
        "delayedRecipients": [{"emailAddress": "a@example.com", "status": "4.2.2", "diagnosticCode": "452 4.2.2 full"}],
    }
    fact = fact_of(ses_events.event("DeliveryDelay", ONE, deliveryDelay=part))
    assert (fact.kind, fact.code, fact.detail) == (FactKind.DEFERRED, "MailboxFull", "452 4.2.2 full")


def test_what_ses_did_not_send_after_all_will_never_arrive() -> None:
    rejected = fact_of(ses_events.event("Reject", ONE, reject={"reason": "Bad content"}))
    assert (rejected.category, rejected.detail) == (BounceCategory.SPAM_CONTENT, "Bad content")
    failed = fact_of(ses_events.event("Rendering Failure", ONE, failure={"errorMessage": "Attribute 'x' is missing"}))
    assert failed.category is BounceCategory.GENERIC


@pytest.mark.parametrize(
    "message",
    [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        ses_events.event("Send", ONE),
        ses_events.event("Open", ONE),
        ses_events.event("SomethingNew", ONE),
        ses_events.bounce("somebody-elses"),
        json.dumps({"eventType": "Bounce"}),
        json.dumps({"eventType": "Bounce", "mail": {"tags": {"clarion-delivery": ["x" * 99]}, "headers": "?"}}),
        "{}",
        "",
        "[" * 5_000,
    ],
)
def test_anything_else_is_nothing(message: str) -> None:
    assert receipts(message, provider="ses") == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)


@given(kind=st.sampled_from(["Bounce", "Complaint", "Delivery", "DeliveryDelay", "Reject"]), part=_JSON, mail=_JSON)
def test_no_event_breaks_the_reading(kind: str, part: object, mail: object) -> None:
    tagged = {"tags": {"clarion-delivery": [ONE]}}
    name = {"DeliveryDelay": "deliveryDelay"}.get(kind, kind.lower())
    assert len(receipts(json.dumps({"eventType": kind, name: part, "mail": tagged}), provider="ses")) == 1
    receipts(json.dumps({"eventType": kind, name: part, "mail": mail}), provider="ses")


def test_what_is_no_object_is_no_event() -> None:
    with pytest.raises(Malformed):
        receipts("[1]", provider="ses")
